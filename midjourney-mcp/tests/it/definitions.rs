//! The tools as clients see them. A change here is read by models and approved by people: it must be on purpose.

use serde_json::{Value, json};

use crate::session::Session;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/definitions.json");

#[tokio::test]
async fn definitions_change_only_with_the_reviewed_snapshot() {
    let mut session = Session::quick().await;
    let listed = session.request("tools/list", json!({})).await["result"]["tools"].clone();
    let shown = format!("{}\n", serde_json::to_string_pretty(&listed).unwrap());
    if std::env::vars_os().any(|(name, _)| name == "UPDATE_SNAPSHOTS") {
        std::fs::write(GOLDEN, &shown).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert!(
        golden == shown,
        "the tools differ from tests/it/definitions.json; if that is wanted, run the tests with UPDATE_SNAPSHOTS=1 \
         and review the change. Now:\n{shown}"
    );
}

#[tokio::test]
async fn the_list_is_small_and_every_schema_is_closed() {
    let mut session = Session::local(crate::session::Memory::quick());
    let greeting = session.greet().await;
    let instructions = greeting["result"]["instructions"].as_str().unwrap();
    assert!(instructions.len() < 2_048, "{}", instructions.len());
    let answer = session.request("tools/list", json!({})).await;
    assert!(answer.to_string().len() < 15_000, "{}", answer.to_string().len());
    let tools = answer["result"]["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "imagine",
            "vary",
            "upscale",
            "edit",
            "blend",
            "describe",
            "animate",
            "wait",
            "get_job",
            "show",
            "list_jobs",
            "cancel",
            "account"
        ]
    );
    for tool in tools {
        let name = &tool["name"];
        assert!(tool["description"].as_str().unwrap().len() < 2_048, "{name}");
        assert!(
            tool["title"].is_string() && tool["outputSchema"]["type"] == "object",
            "{name}"
        );
        let input = &tool["inputSchema"];
        assert_eq!(input["additionalProperties"], false, "{name}");
        for (property, schema) in input["properties"].as_object().unwrap() {
            // One plain type each: lists of types and nested objects are refused by some clients.
            let kind = match schema["type"].as_str() {
                Some("array") => &schema["items"]["type"],
                _ => &schema["type"],
            };
            assert!(
                matches!(kind.as_str(), Some("string" | "integer" | "number" | "boolean")),
                "{name}.{property}"
            );
        }
        let hints = &tool["annotations"];
        let expected = match name.as_str().unwrap() {
            "imagine" | "vary" | "upscale" | "edit" | "blend" | "describe" | "animate" => {
                json!([false, false, false, true])
            }
            "cancel" => json!([false, true, true, true]),
            // It may ask the upstream for a seed.
            "get_job" => json!([true, Value::Null, true, true]),
            _ => json!([true, Value::Null, true, false]),
        };
        let found = [
            "readOnlyHint",
            "destructiveHint",
            "idempotentHint",
            "openWorldHint",
        ]
        .map(|hint| hints[hint].clone());
        assert_eq!(json!(found), expected, "{name}");
    }
}
