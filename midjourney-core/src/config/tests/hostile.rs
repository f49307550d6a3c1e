//! Inputs that mean harm, and secrets that must not get out.

use super::*;
use proptest::prelude::*;
use std::time::Duration;

const CANARY: &str = "zQ9canary7Xw2secret";

#[test]
fn bombs_are_refused_with_few_words_and_quickly() {
    let lines = |count: usize, line: fn(usize) -> String| (0..count).map(line).collect::<Vec<_>>().concat();
    let laughs = lines(10, |level| match level.checked_sub(1) {
        Some(below) => format!(
            "a{level}: &a{level} [{}*a{below}]\n",
            format!("*a{below},").repeat(8)
        ),
        None => "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(),
    });
    let rows = [
        ("billion laughs", laughs),
        ("brackets", "[".repeat(100_000)),
        ("braces", "{a: ".repeat(100_000)),
        ("sequences", "- ".repeat(100_000)),
        ("complex keys", "? ".repeat(100_000)),
        (
            "deep blocks",
            lines(1_000, |depth| format!("{}a:\n", " ".repeat(depth))),
        ),
        ("many values", "[".to_owned() + &"1,".repeat(400_000) + "]"),
        ("many keys", lines(60_000, |number| format!("key{number}: 1\n"))),
        (
            "many anchors",
            lines(40_000, |number| format!("k{number}: &a{number} 1\n")),
        ),
        ("too long", "#".repeat(MAX_FILE_BYTES + 1)),
        (
            "long scalar",
            "server:\n  host: ".to_owned() + &"a".repeat(MAX_FILE_BYTES - 100),
        ),
        ("long key", "a".repeat(MAX_FILE_BYTES - 100) + ": 1"),
        (
            "long quote",
            "log:\n  level: \"".to_owned() + &"\\n".repeat(400_000) + "\"",
        ),
        (
            "long address",
            "upstream:\n  base_url: https://".to_owned() + &"a.".repeat(400_000),
        ),
        ("documents", "---\n".repeat(200_000)),
        ("tags", "log: ".to_owned() + &"!a ".repeat(300_000)),
        ("nulls", "\0".repeat(100_000)),
        ("surprise", "log: \u{feff}\u{2028}\u{85}\u{202e}\n".repeat(10_000)),
    ];
    for (name, text) in rows {
        #[expect(clippy::disallowed_methods, reason = "the time that passes is what is tested")]
        let start = std::time::Instant::now();
        let error = Config::from_yaml(&text)
            .err()
            .unwrap_or_else(|| panic!("{name} is accepted"));
        let took = start.elapsed();
        assert!(took < Duration::from_secs(1), "{name} takes {took:?}");
        assert!(
            error.to_string().len() < 40_000,
            "{name}: {}",
            error.to_string().len()
        );
    }
}

fn seen_by_people(result: Result<Config, ConfigError>) -> String {
    match result {
        Ok(config) => {
            let warnings: Vec<_> = config.warnings().iter().map(ToString::to_string).collect();
            let entries = serde_json::to_string(&config.entries()).unwrap();
            format!(
                "{config:?} {config:#?} {entries} {warnings:?} {}",
                serde_json::to_string(config.warnings()).unwrap()
            )
        }
        Err(error) => {
            format!(
                "{error} {error:?} {}",
                serde_json::to_string(error.issues()).unwrap()
            )
        }
    }
}

#[test]
fn secrets_never_get_out() {
    let texts = [
        "api:\n  midjourney_key: CANARY\n",
        "api:\n  midjourney_key: CANARY\n  key_source: environment\n",
        "api:\n  midjourney_key: \"CANARY\n",
        "api:\n  midjourney_key: CANARY CANARY\n",
        "api:\n  midjourney_key: Bearer CANARY\n",
        "api:\n  midjourney_key: \"CANARY\\n\"\n",
        "api:\n  midjourney_key: [CANARY]\n",
        "api:\n  midjourney_key: {CANARY: CANARY}\n",
        "api:\n  midjourney_key: !CANARY CANARY\n",
        "api:\n  midjourney_key: &CANARY CANARY\n",
        "api:\n  midjourney_key: *CANARY\n",
        "api:\n  midjourney_key: CANARY: CANARY\n",
        "api:\n  midjourney_key:CANARY\n",
        "api:\n  midjourney_key:CANARY\n  key_source: manual\n",
        "api:\n  midjourney_key: CANARY\n  key_source: nonsense\nserver:\n\tport: 1\n",
        "api: CANARY\n",
        "api: [CANARY]\n",
        "api:\n  CANARY:\n",
        "api:\n  CANARY: 1\n  CANARY: 2\n",
        "CANARY",
        "CANARY: 1\n",
        "webhook:\n  secret: CANARY\n  verification_token: CANARY-2\n",
        "webhook:\n  secret: \" CANARY\"\n  verification_token: \"CANARY \"\n",
        "webhook:\n  public_url: https://user:CANARY@mj.org/\n",
        "webhook:\n  public_url: https://mj.org/?token=CANARY\n",
        "upstream:\n  kind: midjourney-proxy\n  base_url: https://CANARY@mj.org/\n",
        "upstream:\n  base_url: https://user:CANARY@[/\n",
        "outbound:\n  proxy: http://user:CANARY@proxy.org:3128\n",
        "outbound:\n  proxy: http://CANARY@proxy.org:3128\n",
        "outbound:\n  proxy: http://user:CANARY@proxy.org:3128/x\n",
        "outbound:\n  proxy: user:CANARY@proxy.org\n",
        "server:\n  host: http://user:CANARY@proxy.org\n",
        "storage:\n  database_url: postgres://user:CANARY@db.org/jobs\n",
        "storage:\n  database: x\n  database_url: postgres://user:CANARY@db.org/jobs\n",
        "storage:\n  database_url: postgres://user:/CANARY@db.org/jobs\n",
        "storage:\n  database_url: mysql://user:CANARY@db.org/jobs\n",
        "storage:\n  database_url: postgres://user:CANARY@db.org\n",
        "%TAG ! CANARY\n--- !x y\n",
    ];
    for text in texts {
        let text = text.replace("CANARY", CANARY);
        let shown = seen_by_people(Config::from_yaml(&text));
        assert!(!shown.contains("canary"), "{text}\n{shown}");
        assert!(!format!("{:?}", Source::new("a", text)).contains("canary"));
    }
    for name in paths()
        .into_iter()
        .map(|path| variable(&path))
        .chain(["MIDJOURNEY_API_KEY".to_owned()])
    {
        let secret = name.contains("SECRET")
            || name.contains("TOKEN")
            || (name.contains("KEY") && !name.ends_with("KEY_ID"));
        for value in [
            CANARY.to_owned(),
            format!("{CANARY} {CANARY}"),
            format!("http://u:{CANARY}@h:1/x"),
        ] {
            if !secret && !value.contains('@') {
                continue;
            }
            if name.ends_with("PATH")
                || name.ends_with("DIR")
                || name.ends_with("TABLE")
                || name.ends_with("DATABASE")
                || name.ends_with("DATABASE_CA")
                || name.ends_with("FILE")
            {
                continue;
            }
            let environment = Environment::from_pairs([(name.as_str(), value.as_str())]);
            assert!(!format!("{environment:?}").contains("canary"));
            let shown = seen_by_people(Config::load(None, &environment));
            assert!(!shown.contains("canary"), "{name}={value}\n{shown}");
        }
    }
}

#[test]
fn a_proxy_keeps_its_password_to_itself() {
    let config = Config::from_yaml("outbound:\n  proxy: http://me:pass@p.org:3128\n").unwrap();
    let proxy = config.outbound.proxy.as_ref().unwrap();
    assert_eq!(proxy.to_string(), "http://***@p.org:3128");
    assert_eq!(proxy.expose().password(), Some("pass"));
    assert_eq!(entry(&config, "outbound.proxy").value, "http://***@p.org:3128");
}

/// Text that is nearly a configuration.
fn nearly() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "server",
        "port",
        "api",
        "midjourney_key",
        "webhook",
        "secret",
        "upstream",
        "base_url",
        "kind",
        "log",
        "level",
        ": ",
        ":",
        "\n",
        "\n  ",
        "\n    ",
        "\t",
        "- ",
        "? ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"",
        "'",
        "|",
        ">",
        "&a ",
        "*a",
        "!t ",
        "#",
        "%",
        "@",
        "---\n",
        "...\n",
        "null",
        "~",
        "true",
        "8000",
        "-1",
        "1e999",
        "\u{feff}",
        "\r\n",
        "\0",
        "https://",
        "[::1]",
        "\\",
        "é",
        "\u{1F98A}",
        "<<",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in prop_oneof![any::<String>(), nearly()]) {
        let shown = seen_by_people(Config::from_yaml(&text));
        prop_assert!(!shown.is_empty());
    }

    #[test]
    fn no_environment_makes_it_panic(
        name in prop_oneof![Just("SERVER__PORT".to_owned()), Just("WEBHOOK__PUBLIC_URL".to_owned()), Just("SERVER__HOST".to_owned()),
            Just("LOG__LEVEL".to_owned()), Just("PROMPT__DEFAULT_VERSION".to_owned()), Just("OUTBOUND__PROXY".to_owned()), any::<String>()],
        value in any::<String>(),
    ) {
        let name = format!("{ENV_PREFIX}{name}");
        let environment = Environment::from_pairs([(name.as_str(), value.as_str())]);
        let shown = seen_by_people(Config::load(None, &environment));
        prop_assert!(!shown.is_empty());
    }

    #[test]
    fn every_secret_stays_inside(secret in "[a-zA-Z0-9]{24,60}") {
        let text = format!("api:\n  midjourney_key: {secret}\nwebhook:\n  secret: {secret}\n  prot: 1\nserver:\n  port: x\n");
        prop_assert!(!seen_by_people(Config::from_yaml(&text)).contains(&secret));
    }

    #[test]
    fn ports_are_read_exactly(number in any::<i64>()) {
        let read = Config::from_yaml(&format!("server:\n  port: {number}\n"));
        prop_assert_eq!(read.ok().map(|config| i64::from(config.server.port)), u16::try_from(number).ok().map(i64::from));
    }
}
