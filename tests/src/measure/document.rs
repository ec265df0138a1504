//! docs/benchmarks.md: a section a benchmark, each with its last full run.

use std::path::Path;

/// What begins a section.
const HEADING: &str = "## ";

/// Puts `section`, which begins with its heading, in the place of the one with the same heading.
pub(super) fn write(section: &str) -> std::io::Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(file, with(&text, section))
}

fn with(text: &str, section: &str) -> String {
    let heading = section.lines().next().unwrap_or_default();
    let mut parts: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with(HEADING) || parts.is_empty() {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    match parts.iter_mut().find(|part| part.lines().next() == Some(heading)) {
        Some(part) => section.clone_into(part),
        None => parts.push(section.to_owned()),
    }
    let parts: Vec<&str> = parts.iter().map(|part| part.trim_end()).collect();
    format!("{}\n", parts.join("\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_takes_the_place_of_the_one_with_its_heading_and_leaves_the_others() {
        let text = "# All\n\n## One\n\n1\n\n## Two\n\n2\n";
        assert_eq!(with(text, "## One\n\nnew\n"), "# All\n\n## One\n\nnew\n\n## Two\n\n2\n");
        assert_eq!(with("# All\n", "## Three\n\n3\n"), "# All\n\n## Three\n\n3\n");
        assert_eq!(with(text, "## Two\n\n2\n"), text);
    }
}
