//! Which folder of the client belongs to which project. The registry and the markers are the client's: they are read, and
//! a marker is added where there is none, but nothing that is there is changed.

use crate::error::{Context, Result};
use crate::id::Hash;
use crate::tools::foreign;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Names the project in its folder: the absolute path, nothing else.
const MARKER: &str = ".project_root";
/// A path is not longer.
const LONGEST: usize = 64 << 10;

/// The project of the folder `tmp/<folder>`, if the client says.
pub(super) fn path_of(root: &Path, folder: &str) -> Option<String> {
    let marked = ["tmp", "history"].into_iter().find_map(|place| marker(&root.join(place).join(folder)));
    let is_its = |(path, slug): &(String, String)| slug == folder || Hash::of(path.as_bytes()).hex() == folder;
    marked.or_else(|| registry(root).into_iter().find(is_its).map(|(path, _)| path))
}

/// The folder in which the client will look for the project `cwd`, by the client's own rules (0.61).
pub(super) fn folder_for(root: &Path, cwd: &Path) -> String {
    let cwd = cwd.to_string_lossy();
    let is_free = |slug: &str| {
        let markers = ["tmp", "history"].map(|place| marker(&root.join(place).join(slug)));
        markers.into_iter().flatten().all(|owner| owner == cwd)
    };
    let registry = registry(root);
    if let Some(slug) = registry.get(cwd.as_ref()).filter(|slug| is_free(slug)) {
        return slug.clone();
    }
    if let Some(slug) = marked_folder(root, &cwd) {
        return slug;
    }
    let base = slug(&cwd);
    let taken = |slug: &String| registry.iter().any(|(path, owned)| owned == slug && *path != cwd);
    let numbered = (1..).map(|n| format!("{base}-{n}"));
    std::iter::once(base.clone()).chain(numbered).find(|slug| !taken(slug) && is_free(slug)).unwrap_or_default()
}

/// Says to whom the folder belongs, where nobody said so. Never changes a marker.
pub(super) fn mark(folder: &Path, cwd: &Path) -> Result<()> {
    let path = folder.join(MARKER);
    let unwritable = || format!("{} can't be written", path.display());
    match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(mut file) => file.write_all(cwd.as_os_str().as_encoded_bytes()).context(unwritable),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error).context(unwritable),
    }
}

fn marker(folder: &Path) -> Option<String> {
    let path = small_text(&folder.join(MARKER))?;
    let path = path.trim();
    path.starts_with('/').then(|| path.to_owned())
}

fn small_text(path: &Path) -> Option<String> {
    let bytes = foreign::read_small(path)?;
    String::from_utf8(bytes).ok().filter(|text| text.len() <= LONGEST)
}

/// Paths and their folders. Where one name is not as the client makes them, it takes the whole file for empty.
fn registry(root: &Path) -> BTreeMap<String, String> {
    #[derive(Deserialize)]
    struct Registry {
        projects: BTreeMap<String, String>,
    }
    let bytes = foreign::read_small(&root.join("projects.json")).unwrap_or_default();
    let registry = serde_json::from_slice::<Registry>(&bytes).map(|registry| registry.projects).unwrap_or_default();
    let is_slug = |slug: &String| {
        !slug.is_empty() && slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if registry.values().all(is_slug) { registry } else { BTreeMap::new() }
}

fn marked_folder(root: &Path, cwd: &str) -> Option<String> {
    let folders = ["tmp", "history"].into_iter().filter_map(|place| root.join(place).read_dir().ok()).flatten();
    let mut folders: Vec<PathBuf> = folders.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    let found = folders.into_iter().find(|folder| marker(folder).as_deref() == Some(cwd))?;
    Some(found.file_name()?.to_str()?.to_owned())
}

/// The name the client gives to a new project: `Sub Dir_é` becomes `sub-dir`.
fn slug(cwd: &str) -> String {
    let name = cwd.rsplit('/').find(|name| !name.is_empty()).unwrap_or_default().to_lowercase();
    let words = name.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit()).filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-");
    if slug.is_empty() { "project".to_owned() } else { slug }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_named_as_the_client_does_it() {
        let names = ["/w/Sub Dir_é", "/w/proj.v2--x", "/", "/w/日本", "/w/a/"].map(slug);
        assert_eq!(names, ["sub-dir", "proj-v2-x", "project", "project", "a"]);
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let root = tempfile::tempdir().unwrap();
        let marked = |slug: &str, owner: &str| {
            std::fs::create_dir_all(root.path().join("tmp").join(slug)).unwrap();
            mark(&root.path().join("tmp").join(slug), Path::new(owner)).unwrap();
        };
        let folder = |cwd: &str| folder_for(root.path(), Path::new(cwd));
        assert_eq!(folder("/w/app"), "app");
        marked("app", "/other/app");
        assert_eq!(folder("/w/app"), "app-1");
        std::fs::write(root.path().join("projects.json"), r#"{"projects":{"/third/app":"app-1"}}"#).unwrap();
        assert_eq!(folder("/w/app"), "app-2");
        marked("elsewhere", "/w/app");
        assert_eq!(folder("/w/app"), "elsewhere");
        assert_eq!((folder("/third/app"), path_of(root.path(), "app-1")), ("app-1".into(), Some("/third/app".into())));
        marked("app", "/w/app");
        assert_eq!(path_of(root.path(), "app").as_deref(), Some("/other/app"));
    }
}
