//! Git remotes: whether two addresses name the same repository, and which folder here is a clone of it. Only files are read;
//! git itself is not run.

use std::fs;
use std::path::{Path, PathBuf};

/// The clone of `remote` that lies in or around the first of these folders that does.
pub fn find(folders: impl IntoIterator<Item = PathBuf>, remote: &str) -> Option<PathBuf> {
    folders.into_iter().filter(|folder| folder.is_absolute()).find_map(|folder| clone_around(&folder, remote))
}

/// The clone of `remote` that `folder` is, or lies in.
pub fn clone_around(folder: &Path, remote: &str) -> Option<PathBuf> {
    let wanted = normal(remote)?;
    let root = folder.ancestors().find(|folder| folder.join(".git").exists())?;
    let is_clone = remotes(root).iter().any(|url| normal(url).as_ref() == Some(&wanted));
    is_clone.then(|| root.to_owned())
}

/// The remote of the repository around `folder`, without what signs a person in: `origin`, else the first.
pub fn remote_of(folder: &Path) -> Option<String> {
    let root = folder.ancestors().find(|folder| folder.join(".git").exists())?;
    remotes(root).first().map(|url| without_credentials(url))
}

/// The addresses in a repository's configuration, that of `origin` first.
fn remotes(root: &Path) -> Vec<String> {
    let config = git_folder(root).and_then(|folder| fs::read_to_string(folder.join("config")).ok());
    let (mut urls, mut section) = (Vec::new(), String::new());
    for line in config.unwrap_or_default().lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            name.0.clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=')
            && section.starts_with("remote ")
            && key.trim().eq_ignore_ascii_case("url")
        {
            let at = if section == "remote \"origin\"" { 0 } else { urls.len() };
            urls.insert(at, value.trim().trim_matches('"').to_owned());
        }
    }
    urls
}

/// Where the configuration lies: of a work tree that was added to a repository, in that one.
fn git_folder(root: &Path) -> Option<PathBuf> {
    let git = root.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let text = fs::read_to_string(&git).ok()?;
    let own = root.join(text.trim().strip_prefix("gitdir:")?.trim());
    match fs::read_to_string(own.join("commondir")) {
        Ok(common) => Some(own.join(common.trim())),
        Err(_) => Some(own),
    }
}

/// `https://name:token@host/path` as `https://host/path`. The name before a host of ssh is no secret.
pub fn without_credentials(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        _ => url.to_owned(),
    }
}

/// Host and path: the same for `git@host:path.git`, `ssh://git@host:22/path` and `https://host/path/`.
fn normal(url: &str) -> Option<(String, String)> {
    let url = url.trim();
    let (host, path) = match url.split_once("://") {
        Some(("file", path)) => ("", path),
        Some((_, rest)) => {
            let (authority, path) = rest.split_once('/')?;
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
            (host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(host, _)| host), path)
        }
        None => match url.split_once(':') {
            Some((host, path)) if !host.contains('/') => (host.rsplit_once('@').map_or(host, |(_, host)| host), path),
            _ => ("", url),
        },
    };
    let path = if host.is_empty() { path } else { path.trim_start_matches('/') };
    let path = path.trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!path.is_empty()).then(|| (host.to_lowercase(), path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_many_addresses() {
        let same = [
            "https://example.com/org/repo.git",
            "https://example.com/org/repo",
            "https://me:token@Example.com/org/repo.git/",
            "http://example.com:8080/org/repo",
            "git@example.com:org/repo.git",
            "example.com:org/repo",
            "ssh://git@example.com:22/org/repo.git",
            "git://example.com/org/repo",
        ];
        for url in same {
            assert_eq!(normal(url), normal(same[0]), "{url}");
        }
        for other in
            ["https://example.com/org/other", "https://example.org/org/repo", "/org/repo", "", "https://example.com/"]
        {
            assert_ne!(normal(other), normal(same[0]), "{other}");
        }
        assert_eq!(normal("file:///srv/git/x.git"), normal("/srv/git/x"));
        assert_eq!(without_credentials("https://me:token@example.com/o/r"), "https://example.com/o/r");
        assert_eq!(without_credentials("git@example.com:o/r"), "git@example.com:o/r");
    }

    #[test]
    fn a_clone_is_found_by_any_of_its_remotes() {
        let folder = tempfile::tempdir().unwrap();
        let clone = folder.path().join("clone");
        fs::create_dir_all(clone.join(".git/worktrees/second")).unwrap();
        fs::create_dir_all(clone.join("src")).unwrap();
        let config = "[core]\n\tbare = false\n[remote \"fork\"]\n\turl = git@example.com:me/repo.git\n\
            [remote \"origin\"]\n\turl = https://t:k@example.com/org/repo\n[branch \"main\"]\n\tremote = origin\n";
        fs::write(clone.join(".git/config"), config).unwrap();
        let found = |remote: &str| find([folder.path().join("gone"), clone.join("src")], remote);
        assert_eq!(found("git@example.com:org/repo.git"), Some(clone.clone()));
        assert_eq!(found("https://example.com/me/repo"), Some(clone.clone()));
        assert_eq!(found("https://example.com/org/other"), None);
        assert_eq!(remote_of(&clone.join("src")).as_deref(), Some("https://example.com/org/repo"));
        let second = folder.path().join("second");
        fs::create_dir(&second).unwrap();
        fs::write(second.join(".git"), format!("gitdir: {}\n", clone.join(".git/worktrees/second").display())).unwrap();
        fs::write(clone.join(".git/worktrees/second/commondir"), "../..\n").unwrap();
        assert_eq!(clone_around(&second, "https://example.com/org/repo"), Some(second));
    }
}
