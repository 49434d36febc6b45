//! Pages can be found: every one is linked from a start page, every link leads somewhere, and the
//! map of the house shows every room.

use std::collections::BTreeSet;

use crate::{
    manifest::manifests,
    tree::{File, Tree, Violation},
};

/// Where a reader starts.
const START_PAGES: &[&str] = &["README.md", "docs/README.md", "ARCHITECTURE.md"];

/// Every page in `docs/` can be reached by links from a start page.
pub fn reachable(tree: &Tree) -> Vec<Violation> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<String> = START_PAGES.iter().map(|page| (*page).to_owned()).collect();
    while let Some(path) = open.pop() {
        let Some(page) = tree.file(&path).filter(|page| page.extension() == "md") else { continue };
        if reached.insert(path) {
            open.extend(links(page).into_iter().map(|(_, target)| target));
        }
    }
    let hidden = |file: &&File| {
        file.path.starts_with("docs/") && file.extension() == "md" && !reached.contains(&file.path)
    };
    let why = format!("nobody finds this page: link it, from {} on", START_PAGES.join(", "));
    tree.files.iter().filter(hidden).map(|file| file.violation(1, why.clone())).collect()
}

/// Every link of a page to a file leads to one.
pub fn links_hold(tree: &Tree) -> Vec<Violation> {
    let pages = tree.files.iter().filter(|file| file.extension() == "md");
    let broken = pages.flat_map(|page| {
        let broken = links(page).into_iter().filter(|(_, target)| !tree.paths.contains(target));
        broken.map(|(line, target)| page.violation(line, format!("there is no {target}")))
    });
    broken.collect()
}

/// ARCHITECTURE.md names every crate.
pub fn architecture_names_crates(tree: &Tree) -> Vec<Violation> {
    let manifests = match manifests(tree) {
        Ok(manifests) => manifests,
        Err(violations) => return violations,
    };
    let page = tree.file("ARCHITECTURE.md").map_or("", |page| &page.text);
    let named = |folder: &str| {
        [format!("crates/{folder}"), format!("{folder}/"), format!("`{folder}`")]
            .iter()
            .any(|form| page.contains(form.as_str()))
    };
    let unnamed = manifests.iter().filter(|manifest| !named(manifest.folder));
    let why = "ARCHITECTURE.md doesn't name this crate: say what it is for";
    unnamed.map(|manifest| manifest.file.violation(1, why)).collect()
}

/// The files that a page links to, as paths of the repository, each with its line. Links to the web,
/// links within the page and links in code blocks don't count.
fn links(page: &File) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    let mut in_code = false;
    for (number, line) in page.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
            let targets = targets.filter_map(|target| target.split('#').next());
            let targets = targets.filter(|target| !target.is_empty() && !is_web(target));
            links.extend(targets.map(|target| (number, resolve(&page.path, target))));
        }
    }
    links
}

fn is_web(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

/// The path that `target` means in the page at `page`.
fn resolve(page: &str, target: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rule: fn(&Tree) -> Vec<Violation>, files: &[(&str, &str)]) -> Vec<String> {
        rule(&Tree::planted(files)).into_iter().map(|violation| violation.path).collect()
    }

    #[test]
    fn catches_a_page_that_nobody_links() {
        let files = [
            ("README.md", "[guide](docs/guide.md#start)\n```\n[no](docs/lost.md)\n```\n"),
            ("docs/guide.md", "[more](./a/more.md)"),
            ("docs/a/more.md", "[back](../guide.md)"),
            ("docs/lost.md", ""),
        ];
        assert_eq!(found(reachable, &files), ["docs/lost.md"]);
    }

    #[test]
    fn catches_a_link_to_nowhere() {
        let text = "[a](b.md) [c](#c) [d](https://example.org/d)\n[e](../Makefile)";
        assert_eq!(found(links_hold, &[("docs/a.md", text), ("Makefile", "")]), ["docs/a.md"]);
        assert!(
            found(links_hold, &[("docs/a.md", text), ("docs/b.md", ""), ("Makefile", "")])
                .is_empty()
        );
    }

    #[test]
    fn catches_a_room_that_the_map_leaves_out() {
        let files = [
            ("ARCHITECTURE.md", "- `crates/core` decides"),
            ("crates/core/Cargo.toml", ""),
            ("crates/attic/Cargo.toml", ""),
        ];
        assert_eq!(found(architecture_names_crates, &files), ["crates/attic/Cargo.toml"]);
    }
}
