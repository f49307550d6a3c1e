use super::super::table::reader::nothing;
use super::*;

#[test]
fn the_builtin_table_reads() {
    let table = Table::builtin();
    assert_eq!(table.revision, "2026-09");
    assert_eq!(table.params.len(), 44);
    assert!(Table::from_json(&table.as_json().to_string()).is_ok());
    let ids: Vec<_> = table.versions.iter().map(|version| version.id.as_str()).collect();
    let all = "1 2 3 4 5 5.1 5.2 6 6.1 7 8 8.1 8.2";
    assert_eq!(ids[..13], all.split(' ').collect::<Vec<_>>());
    assert_eq!(ids[13..], ["niji 4", "niji 5", "niji 6", "niji 7"]);
    let newest = table.version("8.2").unwrap();
    assert_eq!(newest.default_from.unwrap().to_string(), "2026-07-24");
    assert_eq!(newest.as_parameter(), "--v 8.2");
    assert_eq!(table.version("niji 7").unwrap().as_parameter(), "--niji 7");
    assert!(table.params.iter().all(|param| !param.source.is_empty()));
}

#[test]
fn names_and_aliases_lead_to_one_parameter() {
    for (long, short) in [
        ("aspect", "ar"),
        ("chaos", "c"),
        ("quality", "q"),
        ("stylize", "s"),
        ("weird", "w"),
        ("repeat", "r"),
        ("profile", "p"),
        ("version", "v"),
    ] {
        let table = Table::builtin();
        assert_eq!(table.param(long).unwrap().name, long);
        assert_eq!(table.param(short).unwrap().name, long);
        assert_eq!(table.param(&short.to_uppercase()).unwrap().write, short);
    }
}

#[test]
fn an_operator_overlays_what_differs() {
    let table = Table::builtin()
        .overlay(
            r#"{
                "revision": "mine",
                "default_version": "8.3",
                "versions": { "8.3": { "groups": ["v8"] }, "8.1": null },
                "parameters": {
                    "stylize": { "domains": [{ "max": 2000 }] },
                    "mood": { "write": "mood", "value": "word", "domains": [{ "one_of": ["calm", "wild"] }] },
                    "edit": { "domains": [{ "on": ["v8"], "most": 4 }] },
                    "tile": { "domains": [] },
                    "weird": { "domains": [{ "max": 3000 }] }
                },
                "limits": { "jobs": 3 }
            }"#,
        )
        .map_err(|error| error.to_string());
    // What spoke of `8.1` had to go or change with it.
    let table = table.unwrap();
    let options = CheckOptions::default();
    let report = check("a fox --s 1500 --mood wild", &table, &options);
    assert!(report.is_valid(), "{}", report.diagnostics());
    let job = report.into_valid().unwrap().expand(1).unwrap().remove(0);
    assert_eq!((job.version(), job.text()), ("8.3", "a fox --s 1500 --mood wild"));
    assert_eq!(job.params().get("mood"), Some(&Value::Word("wild".to_owned())));
    assert!(!check("a fox --v 8.1", &table, &options).is_valid());
    assert!(!check("a fox --tile", &table, &options).is_valid());
    assert!(!check("{a, b, c, d} fox", &table, &options).is_valid());
}

#[test]
fn wrong_tables_are_refused_by_path() {
    let cases = [
        (
            r#"{ "parameters": { "aspect": { "domains": [{ "max": "wide" }] } } }"#,
            "`parameters.aspect.domains[0].max`: expected a number, found \"wide\"",
        ),
        (
            r#"{ "parameters": { "aspect": { "value": "shape" } } }"#,
            "`parameters.aspect.value`: expected one of",
        ),
        (
            r#"{ "parameters": { "aspect": { "colour": 1 } } }"#,
            "`parameters.aspect.colour`: expected one of",
        ),
        (
            r#"{ "parameters": { "aspect": { "write": "v" } } }"#,
            "names of its own",
        ),
        (
            r#"{ "parameters": { "aspect": { "write": "a r" } } }"#,
            "small letters",
        ),
        (
            r#"{ "parameters": { "aspect": { "domains": [{ "min": 3, "max": 2 }] } } }"#,
            "`parameters.aspect.domains[0].max`: expected at least 3",
        ),
        (
            r#"{ "parameters": { "chaos": { "domains": [{ "on": ["v99"] }] } } }"#,
            "`parameters.chaos.domains[0].on[0]`: expected a version or a group of versions, found \"v99\"",
        ),
        (
            r#"{ "default_version": "9" }"#,
            "`default_version`: expected a known version, found \"9\"",
        ),
        (
            r#"{ "default_niji": "8.2" }"#,
            "`default_niji`: expected a known niji version",
        ),
        (
            r#"{ "limits": { "jobs": 0 } }"#,
            "`limits.jobs`: expected a whole number above 0, found 0",
        ),
        (
            r#"{ "limits": { "jobs": null } }"#,
            "`limits.jobs`: expected a whole number above 0, found nothing",
        ),
        (
            r#"{ "versions": { "8.2": { "released": "soon" } } }"#,
            "`versions.8.2.released`: expected a date",
        ),
        (
            r#"{ "conflicts": [{ "all": ["hd", "ufo"], "why": "x" }] }"#,
            "`conflicts[0].all[1]`: expected the full name",
        ),
        (
            r#"{ "conflicts": [{ "all": [], "why": "x" }] }"#,
            "`conflicts[0].all`: expected at least one thing",
        ),
        (
            r#"{ "conflicts": [{ "all": ["hd"], "plans": ["gold"], "why": "x" }] }"#,
            "`conflicts[0].plans[0]`: expected basic",
        ),
        (
            r#"{ "requirements": [{ "parameter": "iw", "any": "image", "why": "x" }] }"#,
            "`requirements[0].any`: expected a list",
        ),
        (
            r#"{ "caps": [{ "parameter": "aspect", "with": "hd", "max": 4 }] }"#,
            "`caps[0].why`: expected text, found nothing",
        ),
        (
            r#"{ "plans": { "gold": { "permutations": 4 } } }"#,
            "`plans.gold`: expected one of",
        ),
        (r#"{ "surprise": 1 }"#, "`surprise`: expected one of"),
        (r#"{ "schema": 2 }"#, "`schema` must be 1, found 2"),
        ("[]", "`schema` must be 1, found nothing"),
        ("{", "the table is not JSON: line 1, column 1"),
    ];
    for (patch, expected) in cases {
        let error = Table::builtin().overlay(patch).unwrap_err().to_string();
        assert!(error.contains(expected), "{patch}\n{error}");
    }
    assert!(matches!(Table::from_json("{}"), Err(TableError::Schema { .. })));
}

#[test]
fn the_empty_table_lets_nothing_pass() {
    for source in ["a fox", "a fox --ar 1:1", "https://a/1.png https://a/2.png"] {
        assert!(!check(source, &nothing(), &CheckOptions::default()).is_valid());
    }
}

#[test]
fn a_default_version_can_be_chosen() {
    let options = CheckOptions::default().default_version("niji 6");
    let report = check("a:: fox", Table::builtin(), &options);
    assert!(report.is_valid(), "{}", report.diagnostics());
    let unknown = check(
        "a fox",
        Table::builtin(),
        &CheckOptions::default().default_version("99"),
    );
    assert_eq!(unknown.diagnostics().errors()[0].code, Code::VersionUnknown);
}

#[test]
fn codes_are_stable_and_distinct() {
    let mut texts: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), Code::ALL.len());
    assert!(texts.iter().all(|text| text.starts_with("prompt.")));
}
