//! The repository as the rules see it: its text files, by path.

use std::{collections::BTreeSet, fmt, fs, io, path::Path};

/// A place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The file, relative to the repository.
    pub path: String,
    /// The line, counted from 1.
    pub line: usize,
    /// Which rule, why it stands, and what to do; one sentence.
    pub why: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.why)
    }
}

/// One text file.
#[derive(Debug, Clone)]
pub struct File {
    /// Its path relative to the repository, with `/`.
    pub path: String,
    /// What it says.
    pub text: String,
}

impl File {
    /// A violation in this file.
    pub fn violation(&self, line: usize, why: impl Into<String>) -> Violation {
        Violation { path: self.path.clone(), line, why: why.into() }
    }

    /// The lines with their numbers, from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// The number of the first line that contains `part`; 1 when none does.
    pub fn line_with(&self, part: &str) -> usize {
        self.lines().find(|(_, line)| line.contains(part)).map_or(1, |(number, _)| number)
    }

    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// What follows the last dot of the name; empty when there is none.
    pub fn extension(&self) -> &str {
        self.name().rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// Whether it is Rust source.
    pub fn is_rust(&self) -> bool {
        self.extension() == "rs"
    }

    /// Whether all of it is test code: in a `tests`, `benches` or `examples` folder, a module file
    /// called `tests.rs`, or part of a crate that exists for tests only.
    pub fn is_test(&self) -> bool {
        let folders = ["/tests/", "/benches/", "/examples/"];
        folders.iter().any(|folder| self.path.contains(folder))
            || self.name() == "tests.rs"
            || self.path.starts_with("crates/testbed/")
            || self.path.starts_with("crates/tidy/")
    }
}

/// Every file of the repository that a person wrote.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// The text files, sorted by path.
    pub files: Vec<File>,
    /// All paths: text, pictures and folders.
    pub paths: BTreeSet<String>,
}

impl Tree {
    /// Reads the repository at `root`. Build output, version control and hidden folders other than
    /// `.ci` and `.cargo` are left out; a file that isn't UTF-8 counts as a picture.
    ///
    /// # Errors
    ///
    /// When a folder or a file can't be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn read_folder(&mut self, root: &Path, folder: &str) -> io::Result<()> {
        for entry in fs::read_dir(root.join(folder))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let kind = entry.file_type()?;
            if kind.is_dir() && !is_skipped(&name) {
                self.read_folder(root, &path)?;
                self.paths.insert(path);
            } else if kind.is_file() {
                self.read_file(root, path)?;
            }
        }
        Ok(())
    }

    fn read_file(&mut self, root: &Path, path: String) -> io::Result<()> {
        match fs::read(root.join(&path)).map(String::from_utf8) {
            Ok(Ok(text)) => self.files.push(File { path: path.clone(), text }),
            Ok(Err(_)) => {}
            // Somebody's editor or build took it away in the meantime.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
        self.paths.insert(path);
        Ok(())
    }

    /// The file at exactly this path.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// All Rust sources.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust())
    }

    /// A tree of the given paths and texts, to try rules on.
    pub fn planted(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| File { path: path.into(), text: text.into() };
        Self {
            files: files.iter().map(file).collect(),
            paths: files.iter().map(|(path, _)| (*path).to_owned()).collect(),
        }
    }
}

fn is_skipped(folder: &str) -> bool {
    let hidden = folder.starts_with('.') && ![".ci", ".cargo"].contains(&folder);
    hidden || ["target", "node_modules"].contains(&folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_text_and_notes_pictures_and_skips_build_output() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for (path, content) in [
            ("a/b.rs", &b"fn b() {}\n"[..]),
            ("a/picture.png", b"\x89PNG\xff"),
            ("target/c.rs", b""),
            (".git/d", b""),
            (".ci/run", b"#!/bin/sh\n"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("make the folder");
            fs::write(path, content).expect("write the file");
        }
        let tree = Tree::read(root.path()).expect("read the tree");
        let files: Vec<_> = tree.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(files, [".ci/run", "a/b.rs"]);
        let paths: Vec<_> = tree.paths.iter().map(String::as_str).collect();
        assert_eq!(paths, [".ci", ".ci/run", "a", "a/b.rs", "a/picture.png"]);
    }

    #[test]
    fn names_file_line_and_reason() {
        let violation = Tree::planted(&[("a.rs", "")]).files[0].violation(7, "too loud");
        assert_eq!(violation.to_string(), "a.rs:7: too loud");
    }
}
