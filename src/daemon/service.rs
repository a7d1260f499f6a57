//! The service that starts the daemon at every login: a systemd user unit or a launchd agent. What the file says is a pure
//! value ([`Service`]); then it is written and the system is told. A file that we did not write is never touched.

use crate::error::{Context, Error, Result};
use crate::export::write_atomically;
use crate::home::Home;
use crate::tools;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What starts services here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// Linux.
    Systemd,
    /// macOS.
    Launchd,
}

impl Manager {
    /// The one of this system.
    pub fn here() -> Manager {
        if cfg!(target_os = "macos") { Manager::Launchd } else { Manager::Systemd }
    }
}

/// Stands in the first lines of what we write. Without it the file is somebody else's.
const MARK: &str = "Written by sfs daemon install; without this line it is left alone.";
/// The unit's name.
const UNIT: &str = "sessionfs.service";
/// The agent's name.
const LABEL: &str = "dev.sessionfs.daemon";

/// A service file and the commands around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Where it belongs.
    pub file: PathBuf,
    /// What it says.
    pub text: String,
    /// What makes the system know it and start it at every login.
    pub enable: Vec<Vec<String>>,
    /// The same, and start it now.
    pub start: Vec<Vec<String>>,
    /// What stops it and makes the system forget it, before the file goes.
    pub disable: Vec<Vec<String>>,
    /// What makes the system see that the file is gone.
    pub forget: Vec<Vec<String>>,
}

/// What is in a service file's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// Nothing.
    No,
    /// What this program would write.
    Current,
    /// What we wrote for another program, folder or version.
    Older,
    /// Somebody else's file.
    Foreign,
}

impl Service {
    /// The service of `manager` that runs `program` for `home`.
    pub fn new(manager: Manager, home: &Home, program: &Path) -> Service {
        let environment = environment(home);
        match manager {
            Manager::Systemd => systemd(home, program, &environment),
            Manager::Launchd => launchd(home, program, &environment),
        }
    }

    /// The service of this machine and this program.
    pub fn here(home: &Home) -> Result<Service> {
        let program = std::env::current_exe().context(|| "our own program can't be found")?;
        Ok(Service::new(Manager::here(), home, &program))
    }

    /// What is in its place.
    pub fn installed(&self) -> Result<Installed> {
        match std::fs::read(&self.file) {
            Ok(bytes) if bytes == self.text.as_bytes() => Ok(Installed::Current),
            Ok(bytes) if memchr::memmem::find(&bytes, MARK.as_bytes()).is_some() => Ok(Installed::Older),
            Ok(_) => Ok(Installed::Foreign),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Installed::No),
            Err(error) => Err(Error::failed(format!("{} can't be read", self.file.display())).because(error)),
        }
    }

    /// Writes the file where it is missing or says something else; answers what was there before.
    pub fn write(&self) -> Result<Installed> {
        let before = self.installed()?;
        match before {
            Installed::Current => {}
            Installed::Foreign => return Err(self.foreign()),
            Installed::No | Installed::Older => write_atomically(&self.file, before == Installed::Older, &mut |out| {
                out.write_all(self.text.as_bytes()).context(|| format!("{} can't be written", self.file.display()))
            })?,
        }
        Ok(before)
    }

    /// Removes the file, if it is ours; answers what was there.
    pub fn remove(&self) -> Result<Installed> {
        let before = self.installed()?;
        match before {
            Installed::No => {}
            Installed::Foreign => return Err(self.foreign()),
            Installed::Current | Installed::Older => {
                std::fs::remove_file(&self.file).context(|| format!("{} can't be removed", self.file.display()))?;
            }
        }
        Ok(before)
    }

    fn foreign(&self) -> Error {
        Error::conflict(format!("{} was not written by sessionfs", self.file.display()))
            .hint("move it away, or keep it and leave the service to it")
    }
}

/// Runs commands one after the other; says why the first one that fails does.
pub fn tell_system(commands: &[Vec<String>]) -> Result<()> {
    for words in commands {
        let Some((program, arguments)) = words.split_first() else { continue };
        let run = Command::new(program).args(arguments).stdin(Stdio::null()).output();
        let output = run.context(|| format!("{program} can't be run"))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let reason = text.lines().next().unwrap_or("it does not say why").to_owned();
            return Err(Error::failed(format!("`{}` failed: {reason}", words.join(" "))));
        }
    }
    Ok(())
}

/// What the daemon has to know of this environment: at login there is another one.
fn environment(home: &Home) -> BTreeMap<String, String> {
    let tools = tools::ALL.iter().flat_map(|tool| tool.variables());
    let mut variables: BTreeMap<String, String> =
        tools.filter_map(|name| Some(((*name).to_owned(), home.tool_variable(name)?.to_str()?.to_owned()))).collect();
    if home.data != home.user.join(".sessionfs") {
        variables.insert("SFS_HOME".to_owned(), home.data.display().to_string());
    }
    variables
}

fn words(commands: &[&[&str]]) -> Vec<Vec<String>> {
    commands.iter().map(|words| words.iter().map(|word| (*word).to_owned()).collect()).collect()
}

/// Only what a user's own systemd can enforce without further rights. The daemon needs the tools' folders, wherever they
/// are, so the file system stays as it is. A daemon that finds another one at work ends with 4 and is not started again.
fn systemd(home: &Home, program: &Path, environment: &BTreeMap<String, String>) -> Service {
    let config = home.tool_variable("XDG_CONFIG_HOME").unwrap_or_else(|| home.user.join(".config"));
    let variables =
        environment.iter().map(|(name, value)| format!("Environment={}\n", systemd_word(&format!("{name}={value}"))));
    let text = format!(
        "# {MARK}
[Unit]
Description=sessionfs: captures the sessions of AI coding tools

[Service]
ExecStart={program} daemon run
{variables}Restart=on-failure
RestartSec=5
RestartPreventExitStatus=4
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native

[Install]
WantedBy=default.target
",
        program = systemd_word(&program.display().to_string()),
        variables = variables.collect::<String>(),
    );
    let reload: &[&str] = &["systemctl", "--user", "daemon-reload"];
    Service {
        file: config.join("systemd/user").join(UNIT),
        text,
        enable: words(&[reload, &["systemctl", "--user", "enable", UNIT]]),
        start: words(&[reload, &["systemctl", "--user", "enable", UNIT], &["systemctl", "--user", "restart", UNIT]]),
        disable: words(&[&["systemctl", "--user", "disable", "--now", UNIT]]),
        forget: words(&[reload]),
    }
}

/// One word of a unit file: quoted, with `%`, which begins a specifier, doubled. In a program's name and in a variable's value
/// `$` means nothing.
fn systemd_word(text: &str) -> String {
    let mut word = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => word.extend(['\\', c]),
            '%' => word.push_str("%%"),
            '\n' => word.push_str("\\n"),
            c => word.push(c),
        }
    }
    word + "\""
}

fn launchd(home: &Home, program: &Path, environment: &BTreeMap<String, String>) -> Service {
    let file = home.user.join("Library/LaunchAgents").join(format!("{LABEL}.plist"));
    let program = program.display().to_string();
    let arguments: Vec<String> = [program.as_str(), "daemon", "run"]
        .iter()
        .map(|word| format!("    <string>{}</string>\n", xml(word)))
        .collect();
    let variables = environment
        .iter()
        .map(|(name, value)| format!("    <key>{}</key>\n    <string>{}</string>\n", xml(name), xml(value)));
    let text = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- {MARK} -->
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
{arguments}  </array>
  <key>EnvironmentVariables</key>
  <dict>
{variables}  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>60</integer>
  <key>ProcessType</key>
  <string>Background</string>
  <key>Umask</key>
  <integer>63</integer>
</dict>
</plist>
"#,
        arguments = arguments.concat(),
        variables = variables.collect::<String>(),
    );
    // `load` and `unload` take what is loaded already, and what is not, as it is.
    let path = file.display().to_string();
    let (load, unload): ([&str; 4], [&str; 3]) = (["launchctl", "load", "-w", &path], ["launchctl", "unload", &path]);
    Service {
        text,
        enable: Vec::new(),
        start: words(&[&unload, &load]),
        disable: words(&[&unload]),
        forget: Vec::new(),
        file,
    }
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Home {
        Home::at(Path::new("/home/me"), Path::new("/data/100% \"mine\" & <more>"))
    }

    #[test]
    fn a_unit_keeps_odd_paths_whole() {
        let unit = Service::new(Manager::Systemd, &home(), Path::new("/opt/a b/$x/sessionfs"));
        assert_eq!(unit.file, Path::new("/home/me/.config/systemd/user/sessionfs.service"));
        assert!(unit.text.contains("\nExecStart=\"/opt/a b/$x/sessionfs\" daemon run\n"), "{}", unit.text);
        let variable = "\nEnvironment=\"SFS_HOME=/data/100%% \\\"mine\\\" & <more>\"\n";
        assert!(unit.text.contains(variable), "{}", unit.text);
    }

    #[test]
    fn an_agent_is_well_formed_xml() {
        let agent = Service::new(Manager::Launchd, &home(), Path::new("/opt/a&b/sessionfs"));
        assert_eq!(agent.file, Path::new("/home/me/Library/LaunchAgents/dev.sessionfs.daemon.plist"));
        assert!(agent.text.contains("<string>/opt/a&amp;b/sessionfs</string>\n    <string>daemon</string>"));
        assert!(agent.text.contains("<string>/data/100% &quot;mine&quot; &amp; &lt;more&gt;</string>"));
        let opened = agent.text.matches("<dict>").count();
        assert_eq!((opened, agent.text.matches("</dict>").count()), (3, 3));
    }

    #[test]
    fn the_default_home_needs_no_variable() {
        let home = Home::at(Path::new("/home/me"), Path::new("/home/me/.sessionfs"));
        let unit = Service::new(Manager::Systemd, &home, Path::new("/usr/bin/sessionfs"));
        assert!(!unit.text.contains("Environment="), "{}", unit.text);
    }
}
