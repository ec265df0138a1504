//! The recorded vectors: every file of them is read by a test, and none has lost a case.

use std::path::{Path, PathBuf};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust source below `folder`.
fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn every_file_of_vectors_is_read_by_a_test() {
    let mut files = Vec::new();
    sources(&root().join("jobs/providers/src"), &mut files);
    sources(&root().join("tests/providers"), &mut files);
    let code: Vec<String> = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("jobs/providers/vectors")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let read = format!("vectors/{name}\")");
        assert!(code.iter().any(|code| code.contains(&read)), "{name} is read by no test");
        count += 1;
    }
    assert_eq!(count, 8);
}

#[test]
fn no_file_of_vectors_has_lost_a_case() {
    for (name, pointer, cases) in [
        ("stripe", "/cases", 18),
        ("stripe_wire", "/cases", 29),
        ("stripe_sdk_retry", "/cases", 20),
        ("stripe_fields", "/objects", 12),
        ("heleket", "/cases", 29),
        ("heleket_wire", "/cases", 8),
        ("heleket_wire", "/sdk_retry_behaviour_default_3_retries", 8),
        ("tatum", "/cases", 12),
        ("trovotech", "/cases", 11),
        ("trovotech", "/bantu/http_signing", 3),
        ("trovotech", "/bantu/tx_signing", 3),
    ] {
        let path = root().join("jobs/providers/vectors").join(name).with_extension("json");
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let found = file.pointer(pointer).unwrap();
        let count = found.as_array().map(Vec::len).or_else(|| found.as_object().map(serde_json::Map::len));
        assert!(count >= Some(cases), "{name} {pointer}: {count:?}");
    }
}
