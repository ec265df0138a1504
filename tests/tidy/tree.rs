//! The repository as the rules see it: the files git tracks or would track, with their text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Not looked at where git cannot be asked.
const BUILT: [&str; 5] = ["target", ".git", ".payfleet", "bench-results", "__pycache__"];

/// Files by their path from the root, with `/` between folders.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// The repository these tests are in. Files that are no text count as empty.
    pub(crate) fn of_the_repository() -> Self {
        let root = root();
        let paths = tracked(&root).unwrap_or_else(|| walk(&root));
        let text = |path: &String| std::fs::read_to_string(root.join(path)).unwrap_or_default();
        let present = paths.into_iter().filter(|path| root.join(path).is_file());
        Self { files: present.map(|path| (path.clone(), text(&path))).collect() }
    }

    /// A made-up one.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
    }

    /// Every file.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Every file whose name ends so.
    pub(crate) fn ending(&self, suffix: &'static str) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(move |(path, _)| path.ends_with(suffix))
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether it is a file or a folder.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        self.files.contains_key(path) || self.files.keys().any(|file| file.starts_with(&folder))
    }
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// New files count before they are added, so that a rule speaks up before the commit.
fn tracked(root: &Path) -> Option<Vec<String>> {
    // In a container the checkout may belong to another user, which git would refuse to read.
    let git = ["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(git).current_dir(root).output().ok()?;
    let listed = output.status.success() && !output.stdout.is_empty();
    let paths = String::from_utf8(output.stdout).ok()?;
    listed.then(|| paths.split_terminator('\0').map(str::to_owned).collect())
}

fn walk(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !BUILT.contains(&name.as_str()) {
                folders.push(path);
            } else if path.is_file() {
                found.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found
}

#[test]
fn the_tree_is_the_whole_repository_however_it_is_read() {
    let tree = Tree::of_the_repository();
    for path in ["Cargo.toml", "jobs/core/src/lib.rs", "migrations", "tests/tidy/main.rs"] {
        assert!(tree.has(path), "{path}");
    }
    let walked = walk(&root());
    for (path, _) in tree.files() {
        assert!(walked.iter().any(|other| other == path), "{path}");
    }
    assert!(!tree.has("target") && !tree.has("jobs/cor"));
}
