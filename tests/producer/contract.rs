//! The contract: the committed document is what the code says, and what it says of requests is what
//! the readers of requests do.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::intake::{Answer, Intake};

/// The contract as JSON.
fn contract() -> Value {
    serde_json::from_str(&payfleet_producer::contract()).unwrap()
}

/// What a `$ref` of the contract names, or the schema itself.
fn resolved<'a>(contract: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => contract.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// Every `POST` of the API that takes a body: its path and the schema of that.
fn posts(contract: &Value) -> Vec<(&str, &Value)> {
    let paths = contract["paths"].as_object().unwrap();
    let of_the_api = paths.iter().filter(|(path, _)| path.starts_with("/v1/"));
    // What a path names would have to exist: such a post is shown where it is tested.
    let posts = of_the_api.filter(|(path, _)| !path.contains('{')).filter_map(|(path, item)| {
        let body = item.get("post")?.pointer("/requestBody/content/application~1json/schema");
        if body.is_none() {
            assert!(path.contains("}/"), "{path}: no body");
        }
        Some((path.as_str(), resolved(contract, body?)))
    });
    posts.collect()
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn the_committed_contract_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let made = payfleet_producer::contract();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == made,
        "docs/openapi.json is not what the code says; look at the change, then \
         run UPDATE_DOCS=1 cargo test -p payfleet-tests --test producer contract::"
    );
}

#[test]
fn everything_the_contract_refers_to_is_in_it_and_every_operation_has_a_name_of_its_own() {
    let contract = contract();
    assert!(contract["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut found = Vec::new();
    references(&contract, &mut found);
    for reference in found {
        assert!(contract.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    let mut names = BTreeSet::new();
    for (path, item) in contract["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(names.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
            assert!(operation["summary"].is_string(), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_contract_is_served_to_anybody() {
    let intake = Intake::start().await;
    let answer = Answer::of(intake.bare(reqwest::Method::GET, "/openapi.json").send().await.unwrap()).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.body, contract());
    intake.stop().await;
}

#[tokio::test]
async fn the_example_of_every_request_is_accepted() {
    let (contract, intake) = (contract(), Intake::start().await);
    let posts = posts(&contract);
    for (path, schema) in &posts {
        let example = schema.get("example").unwrap_or_else(|| panic!("{path}: its body has no example"));
        let answer = intake.post(&path_of(&intake, path, &posts).await, path, example).await;
        assert_eq!(answer.status, 202, "{path}: {answer:?}");
    }
    assert_eq!(intake.jobs().await, posts.len() as u64);
    intake.stop().await;
}

/// `path` as it is called: about the operation that the example of what stands before `{id}` makes.
async fn path_of(intake: &Intake, path: &str, posts: &[(&str, &Value)]) -> String {
    let Some((parent, _)) = path.split_once("/{id}") else { return path.to_owned() };
    let (_, schema) = posts.iter().find(|(path, _)| *path == parent).unwrap();
    let made = intake.post(parent, parent, &schema["example"]).await;
    path.replace("{id}", made.body["operation_id"].as_str().unwrap())
}

#[tokio::test]
async fn what_the_contract_calls_required_or_a_field_is_what_the_reader_takes_for_it() {
    let (contract, intake) = (contract(), Intake::start().await);
    for (path, schema) in posts(&contract) {
        let properties: BTreeSet<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(schema["additionalProperties"], false, "{path}");
        let nothing = intake.post(path, "key", &json!({})).await;
        nothing.assert_problem(422, "invalid-fields");
        let required: BTreeSet<&str> =
            schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        // What is required unless something else is there, the schema of the whole cannot say.
        let alternative = |error: &&Value| error["message"].as_str().unwrap().contains("required, or");
        let errors = nothing.body["errors"].as_array().unwrap();
        let alternatives = errors.iter().filter(alternative).map(|error| error["field"].as_str().unwrap());
        let required = &required | &alternatives.collect();
        assert_eq!(BTreeSet::from_iter(nothing.fields()), required, "{path}");
        // No field takes an array where none is declared; and one that nobody reads is not a field.
        let wrong: Value = properties.iter().map(|name| ((*name).to_owned(), json!([[]]))).collect();
        let answer = intake.post(path, "key", &wrong).await;
        answer.assert_problem(422, "invalid-fields");
        for error in answer.body["errors"].as_array().unwrap() {
            assert!(!error["message"].as_str().unwrap().contains("not a field"), "{path}: {error}");
        }
        assert_eq!(BTreeSet::from_iter(answer.fields()), properties, "{path}");
    }
    assert_eq!(intake.jobs().await, 0);
    intake.stop().await;
}
