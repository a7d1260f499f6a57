//! A headless Chromium, driven over WebDriver (<https://www.w3.org/TR/webdriver2/>): plain HTTP with JSON. What WebDriver has no
//! word for (colour scheme, accessibility tree, network) goes through Chromium's own protocol.

use base64::Engine;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a page may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// The key that WebDriver gives elements under.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const CHROMIUM: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
];

/// Names of keys, as WebDriver types them.
pub const ENTER: char = '\u{e007}';
pub const ESCAPE: char = '\u{e00c}';
pub const SHIFT: char = '\u{e008}';
pub const TAB: char = '\u{e004}';

/// A browser with one window. It ends with this process, whatever becomes of that.
pub struct Browser {
    agent: ureq::Agent,
    session: String,
    /// Ends the browser when it is closed.
    keeper: Child,
}

impl Browser {
    /// A new one with an empty profile.
    pub fn start() -> Browser {
        // The shell waits for the end of its input, which is this process's end too.
        let script = r#"profile=$(mktemp -d) && { setsid chromedriver --port=0 <&- & driver=$!; echo "profile $profile"
            cat >/dev/null; kill -- -$driver; sleep 0.3; kill -9 -- -$driver; rm -rf "$profile"; }"#;
        let mut keeper = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(keeper.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (mut port, mut profile) = (None, None);
        for line in lines {
            if let Some(folder) = line.strip_prefix("profile ") {
                profile = Some(folder.to_owned());
            } else if let Some(rest) = line.split("successfully on port ").nth(1) {
                port = Some(rest.trim_end_matches('.').to_owned());
            }
            if port.is_some() && profile.is_some() {
                break;
            }
        }
        let (port, profile) = (port.unwrap(), profile.unwrap());
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let mut browser = Browser { agent, session: format!("http://127.0.0.1:{port}/session"), keeper };
        let mut args: Vec<String> = CHROMIUM.iter().map(|arg| (*arg).to_owned()).collect();
        args.push(format!("--user-data-dir={profile}"));
        let wanted = json!({"goog:chromeOptions": {"args": args}, "goog:loggingPrefs": {"browser": "ALL"}, "unhandledPromptBehavior": "ignore"});
        let made = browser.ask("POST", "", &json!({"capabilities": {"alwaysMatch": wanted}}));
        browser.session = format!("{}/{}", browser.session, made["sessionId"].as_str().unwrap());
        browser
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_to(method, path, body).unwrap_or_else(|error| panic!("{method} {path} {body}: {error}"))
    }

    fn try_to(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let url = format!("{}{path}", self.session);
        let answer = match method {
            "GET" => self.agent.get(&url).call(),
            "DELETE" => self.agent.delete(&url).call(),
            _ => self.agent.post(&url).content_type("application/json").send(body.to_string()),
        };
        let text = answer.unwrap().body_mut().with_config().limit(64 << 20).read_to_string().unwrap();
        let mut answer: Value = serde_json::from_str(&text).unwrap();
        if answer["value"]["error"].is_null() { Ok(answer["value"].take()) } else { Err(text) }
    }

    /// A command of Chromium's own protocol.
    pub fn protocol(&self, command: &str, parameters: &Value) -> Value {
        self.ask("POST", "/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// A new page in a window of this size, as a reader with a light screen sees it; nobody is signed in.
    pub fn reset(&self, width: u32, height: u32) {
        self.ask("POST", "/url", &json!({"url": "about:blank"}));
        self.protocol("Network.clearBrowserCookies", &json!({}));
        self.size(width, height);
        self.scheme("light");
        self.errors();
    }

    pub fn size(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.protocol("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// `light` or `dark`; nothing moves.
    pub fn scheme(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]);
        self.protocol("Emulation.setEmulatedMedia", &json!({"features": features}));
    }

    pub fn open(&self, url: &str) {
        self.ask("POST", "/url", &json!({"url": url}));
    }

    /// Where the page is now.
    pub fn address(&self) -> String {
        self.ask("GET", "/url", &Value::Null).as_str().unwrap().to_owned()
    }

    /// What a script on the page returns.
    pub fn run(&self, script: &str) -> Value {
        self.ask("POST", "/execute/sync", &json!({"script": script, "args": []}))
    }

    /// What a script gives to `done(…)`.
    pub fn run_async(&self, script: &str) -> Value {
        let script = format!("const done = arguments[0]; {script}");
        self.ask("POST", "/execute/async", &json!({"script": script, "args": []}))
    }

    /// The text that the reader sees of the first element that fits `css`.
    pub fn text(&self, css: &str) -> String {
        self.wait_for(css);
        self.run(&format!("return document.querySelector({css:?}).innerText")).as_str().unwrap().trim().to_owned()
    }

    /// How many elements fit.
    pub fn count(&self, css: &str) -> u64 {
        self.run(&format!("return document.querySelectorAll({css:?}).length")).as_u64().unwrap()
    }

    /// Waits until `expression` is true of the page; what it is then.
    pub fn wait(&self, expression: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let value = self.run(&format!("return ({expression})"));
            if !matches!(value, Value::Null | Value::Bool(false)) {
                return value;
            }
            let page = || {
                self.run("return `${location.href}\\n${document.body.innerText.slice(0, 1500)}`")
                    .as_str()
                    .unwrap()
                    .to_owned()
            };
            assert!(Instant::now() < until, "waited in vain for {expression}\n{}\n{:?}", page(), self.errors());
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    pub fn wait_for(&self, css: &str) {
        self.wait(&format!("document.querySelector({css:?}) !== null"));
    }

    /// Waits until the page says `text` to the reader.
    pub fn wait_for_text(&self, text: &str) {
        self.wait(&format!("document.body.innerText.includes({})", json!(text)));
    }

    fn element(&self, css: &str) -> String {
        let found = self.wait(&format!("document.querySelector({css:?})"));
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// A click where the element is, as of a mouse.
    pub fn click(&self, css: &str) {
        self.click_on(&format!("document.querySelector({css:?})"));
    }

    /// Clicks what `expression` gives: again, where the page drew it anew meanwhile.
    fn click_on(&self, expression: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let element = self.wait(expression);
            let element = element[ELEMENT].as_str().unwrap();
            match self.try_to("POST", &format!("/element/{element}/click"), &json!({})) {
                Ok(_) => return,
                Err(error) => assert!(Instant::now() < until, "{expression}: {error}"),
            }
        }
    }

    /// Clicks the button, link or fold whose text or name is `name`.
    pub fn press(&self, name: &str) {
        let find = format!(
            "(() => {{ const all = [...document.querySelectorAll('dialog[open] button, dialog[open] summary, dialog[open] a')];
              const where = all.length ? all : [...document.querySelectorAll('button, summary, a, label')];
              return where.find((node) => node.checkVisibility() && [node.innerText.trim(), node.textContent.trim(), node.getAttribute('aria-label'), node.title].includes({name})); }})()",
            name = json!(name)
        );
        self.click_on(&find);
    }

    /// Types `text` into an emptied field.
    pub fn fill(&self, css: &str, text: &str) {
        let element = self.element(css);
        self.ask("POST", &format!("/element/{element}/clear"), &json!({}));
        self.ask("POST", &format!("/element/{element}/value"), &json!({"text": text}));
    }

    /// Chooses an option of a select by its value.
    pub fn choose(&self, css: &str, value: &str) {
        self.click(&format!("{css} option[value={value:?}]"));
    }

    /// Presses keys one after the other, wherever the focus is. Shift holds for the next one.
    pub fn keys(&self, keys: impl IntoIterator<Item = char>) {
        let mut actions = Vec::new();
        let mut is_shifted = false;
        for key in keys {
            let key_of = |kind: &str, key: char| json!({"type": kind, "value": key.to_string()});
            if key == SHIFT {
                actions.push(key_of("keyDown", key));
                is_shifted = true;
                continue;
            }
            actions.extend([key_of("keyDown", key), key_of("keyUp", key)]);
            if std::mem::take(&mut is_shifted) {
                actions.push(key_of("keyUp", SHIFT));
            }
        }
        self.ask("POST", "/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}));
    }

    /// What went wrong on the page since the last call: errors of scripts, of the network and of the policy.
    pub fn errors(&self) -> Vec<String> {
        let lines = self.ask("POST", "/se/log", &json!({"type": "browser"}));
        let severe =
            lines.as_array().unwrap().iter().filter(|line| line["level"] == "SEVERE" || line["level"] == "WARNING");
        severe.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    }

    /// A picture of the window.
    pub fn screenshot(&self, path: &Path) {
        let picture = self.ask("GET", "/screenshot", &Value::Null);
        let bytes = base64::engine::general_purpose::STANDARD.decode(picture.as_str().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// What assistive technology is told: (role, name) of every element that is not ignored.
    pub fn accessible(&self) -> Vec<(String, String)> {
        let tree = self.protocol("Accessibility.getFullAXTree", &json!({}));
        let nodes = tree["nodes"].as_array().unwrap().iter().filter(|node| node["ignored"] == false);
        let text = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
        nodes.map(|node| (text(&node["role"]), text(&node["name"]))).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
