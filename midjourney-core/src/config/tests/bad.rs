//! One mistake after the other: where it is found, what is said, and how to mend it.

use super::*;
use IssueKind::{
    Conflict, DuplicateKey, InvalidValue, Missing, Syntax, TooLarge, UnknownKey, Unsupported, WrongType,
};

/// Text, kind, path, line, and pieces of message, expectation and mend (empty: there is none).
type Row = (&'static str, IssueKind, &'static str, u32, [&'static str; 3]);

const ROWS: &[Row] = &[
    // Numbers.
    (
        "server:\n  port: 70000",
        InvalidValue,
        "server.port",
        2,
        ["`70000` is out of range", "0 to 65535", ""],
    ),
    (
        "server:\n  port: -1",
        InvalidValue,
        "server.port",
        2,
        ["`-1` is out of range", "0 to 65535", ""],
    ),
    (
        "server:\n  port: 99999999999999999999999",
        InvalidValue,
        "server.port",
        2,
        ["out of range", "65535", ""],
    ),
    (
        "server:\n  port: http",
        WrongType,
        "server.port",
        2,
        ["`http` is no whole number", "whole number", ""],
    ),
    (
        "server:\n  port: 80.5",
        WrongType,
        "server.port",
        2,
        ["`80.5` is no whole number", "whole number", ""],
    ),
    (
        "server:\n  port: 8_000",
        WrongType,
        "server.port",
        2,
        ["no whole number", "whole number", "without `_`"],
    ),
    (
        "server:\n  port: \"8000\"",
        WrongType,
        "server.port",
        2,
        ["in quotes", "number", "write `8000` without quotes"],
    ),
    (
        "server:\n  port: 0800",
        InvalidValue,
        "server.port",
        2,
        ["leading zero", "number", "without the leading zero"],
    ),
    (
        "server:\n  port: [8000]",
        WrongType,
        "server.port",
        2,
        ["a list", "whole number", ""],
    ),
    (
        "server:\n  port:\n    number: 8000",
        WrongType,
        "server.port",
        3,
        ["a section", "whole number", ""],
    ),
    (
        "server:\n  workers: 0",
        InvalidValue,
        "server.workers",
        2,
        ["out of range", "1 to 1024", ""],
    ),
    (
        "server:\n  workers: 1025",
        InvalidValue,
        "server.workers",
        2,
        ["out of range", "1 to 1024", ""],
    ),
    (
        "server:\n  max_connections: 0",
        InvalidValue,
        "server.max_connections",
        2,
        ["out of range", "1 to 1000000", ""],
    ),
    (
        "server:\n  requests_per_minute: 0",
        InvalidValue,
        "server.requests_per_minute",
        2,
        ["out of range", "1 to 1000000", ""],
    ),
    (
        "storage:\n  retention_days: 36501",
        InvalidValue,
        "storage.retention_days",
        2,
        ["range", "0 to 36500", ""],
    ),
    (
        "prompt:\n  max_jobs_per_request: 0",
        InvalidValue,
        "prompt.max_jobs_per_request",
        2,
        ["range", "1 to", ""],
    ),
    (
        "engine:\n  lease_seconds: 1m",
        WrongType,
        "engine.lease_seconds",
        2,
        ["`1m`", "whole seconds", ""],
    ),
    // Switches.
    (
        "webhook:\n  ssl_enabled: yes",
        WrongType,
        "webhook.ssl_enabled",
        2,
        ["`yes`", "true or false", "write true"],
    ),
    (
        "webhook:\n  ssl_enabled: off",
        WrongType,
        "webhook.ssl_enabled",
        2,
        ["`off`", "true or false", "write false"],
    ),
    (
        "webhook:\n  ssl_enabled: \"true\"",
        WrongType,
        "webhook.ssl_enabled",
        2,
        ["quotes", "true or", "write true"],
    ),
    (
        "webhook:\n  ssl_enabled: maybe",
        WrongType,
        "webhook.ssl_enabled",
        2,
        ["`maybe`", "true or false", ""],
    ),
    // Choices.
    (
        "api:\n  key_source: \"manual|environment|discord\"",
        InvalidValue,
        "api.key_source",
        2,
        [
            "the list of the choices",
            "`manual`, `environment` or `discord`",
            "write one of them",
        ],
    ),
    (
        "api:\n  key_source: enviroment",
        InvalidValue,
        "api.key_source",
        2,
        ["none", "`manual`", "`environment`?"],
    ),
    (
        "storage:\n  type: s4",
        InvalidValue,
        "storage.type",
        2,
        ["`s4` is none", "`local`, `s3`, `gcs`", "`s3`?"],
    ),
    (
        "storage:\n  type: s3",
        Missing,
        "storage.bucket",
        2,
        ["storage.type is `s3`", "", "storage.type: local"],
    ),
    (
        "storage:\n  type: s3\n  bucket: s3://pictures/mj",
        InvalidValue,
        "storage.bucket",
        3,
        ["no name", "letters", "storage.prefix"],
    ),
    (
        "storage:\n  type: s3\n  bucket: pictures\n  prefix: /mj/",
        InvalidValue,
        "storage.prefix",
        4,
        ["no prefix", "`/` between", "either end"],
    ),
    (
        "storage:\n  type: gcs\n  bucket: pictures\n  prefix: mj/../x",
        InvalidValue,
        "storage.prefix",
        4,
        ["no prefix", "`/` between", ""],
    ),
    (
        "storage:\n  type: azure\n  bucket: pictures\n  access_key_id: me",
        Missing,
        "storage.secret_access_key",
        4,
        ["storage.access_key_id is set", "", "both, or neither"],
    ),
    (
        "upstream:\n  kind: Simulator",
        InvalidValue,
        "upstream.kind",
        2,
        ["none", "`simulator`", "`simulator`?"],
    ),
    (
        "upstream:\n  dialect: newapi",
        InvalidValue,
        "upstream.dialect",
        2,
        ["none", "`new-api`", "`new-api`?"],
    ),
    (
        "prompt:\n  plan: gold",
        InvalidValue,
        "prompt.plan",
        2,
        ["`gold`", "`mega`", ""],
    ),
    (
        "log:\n  format: jsn",
        InvalidValue,
        "log.format",
        2,
        ["`jsn`", "`text` or `json`", "`json`?"],
    ),
    // Texts.
    (
        "server:\n  host: 0.0.0.0:80",
        InvalidValue,
        "server.host",
        2,
        ["port does not belong", "IP", "server.port"],
    ),
    (
        "server:\n  host: http://a",
        InvalidValue,
        "server.host",
        2,
        ["URL", "IP address", "only the host"],
    ),
    (
        "server:\n  host: \"[::1]\"",
        InvalidValue,
        "server.host",
        2,
        ["brackets", "IP", "without brackets"],
    ),
    (
        "server:\n  host: \"[::1]:80\"",
        InvalidValue,
        "server.host",
        2,
        ["brackets", "IP", "server.port"],
    ),
    (
        "server:\n  host: \"*\"",
        InvalidValue,
        "server.host",
        2,
        ["no address", "IP", "0.0.0.0"],
    ),
    (
        "server:\n  host: 256.1.1.1",
        InvalidValue,
        "server.host",
        2,
        ["no IPv4", "IP address", ""],
    ),
    (
        "server:\n  host: my host",
        InvalidValue,
        "server.host",
        2,
        ["neither", "host name", ""],
    ),
    (
        "server:\n  host: -bad-.org",
        InvalidValue,
        "server.host",
        2,
        ["neither", "host name", ""],
    ),
    (
        "log:\n  level: warning",
        InvalidValue,
        "log.level",
        2,
        ["no log level", "warn", "write warn"],
    ),
    (
        "log:\n  level: info,x=loud",
        InvalidValue,
        "log.level",
        2,
        ["no log level", "debug", ""],
    ),
    (
        "prompt:\n  default_version: v7",
        InvalidValue,
        "prompt.default_version",
        2,
        ["only", "niji 6", "write 7"],
    ),
    (
        "prompt:\n  default_version: --niji 6",
        InvalidValue,
        "prompt.default_version",
        2,
        ["only", "", "write niji 6"],
    ),
    (
        "prompt:\n  default_version: 7;8",
        InvalidValue,
        "prompt.default_version",
        2,
        ["no version", "6.1", ""],
    ),
    (
        "upstream:\n  account: a b",
        InvalidValue,
        "upstream.account",
        2,
        ["no account name", "letters", ""],
    ),
    (
        "storage:\n  path: ~/images",
        InvalidValue,
        "storage.path",
        2,
        ["not replaced", "path", "whole path"],
    ),
    (
        "data_dir: $HOME/mj",
        InvalidValue,
        "data_dir",
        1,
        ["not replaced", "path", "whole path"],
    ),
    (
        "data_dir: \"a\\0b\"",
        InvalidValue,
        "data_dir",
        1,
        ["control character", "path", ""],
    ),
    (
        "api:\n  midjourney_key: Bearer abc",
        InvalidValue,
        "api.midjourney_key",
        2,
        ["`Bearer`", "key", "follows"],
    ),
    (
        "api:\n  midjourney_key: a b",
        InvalidValue,
        "api.midjourney_key",
        2,
        ["a space", "the upstream's key", ""],
    ),
    (
        "api:\n  midjourney_key: [a]",
        WrongType,
        "api.midjourney_key",
        2,
        ["a list", "the upstream's key", ""],
    ),
    (
        "webhook:\n  secret: \"x \"",
        InvalidValue,
        "webhook.secret",
        2,
        ["ends with a space", "text", "remove"],
    ),
    (
        "webhook:\n  secret: |\n    one\n    two\n",
        InvalidValue,
        "webhook.secret",
        3,
        ["line break", "one line", ""],
    ),
    (
        "storage:\n  database_url: db.example.org/s3cret",
        InvalidValue,
        "storage.database_url",
        2,
        ["no URL", "postgres://user:password@host/database", "postgres://"],
    ),
    (
        "storage:\n  database_url: mysql://mj:s3cret@db.example.org/mj",
        InvalidValue,
        "storage.database_url",
        2,
        ["only PostgreSQL", "postgres://", "storage.database"],
    ),
    (
        "storage:\n  database_url: postgres://mj:s3/cret@db.example.org/mj",
        InvalidValue,
        "storage.database_url",
        2,
        ["no URL", "postgres://", "%2F"],
    ),
    (
        "storage:\n  database_url: postgres://mj:s3cret@db.example.org",
        InvalidValue,
        "storage.database_url",
        2,
        ["not named", "postgres://", "after the host"],
    ),
    (
        "storage:\n  database_connections: 1",
        InvalidValue,
        "storage.database_connections",
        2,
        ["1", "from 2 to 1000", ""],
    ),
    // Addresses.
    (
        "webhook:\n  public_url: me.org",
        InvalidValue,
        "webhook.public_url",
        2,
        ["begin with", "https", "in front"],
    ),
    (
        "webhook:\n  allowed_ips: 192.0.2.1, everywhere",
        InvalidValue,
        "webhook.allowed_ips",
        2,
        ["`everywhere` is no address", "10.0.0.0/8", ""],
    ),
    (
        "webhook:\n  allowed_ips: 192.0.2.1/24",
        InvalidValue,
        "webhook.allowed_ips",
        2,
        ["within a network", "networks", "write 192.0.2.0/24"],
    ),
    (
        "server:\n  trusted_proxies: \"::ffff:10.0.0.1\"",
        InvalidValue,
        "server.trusted_proxies",
        2,
        ["IPv4 address that is written", "networks", "192.0.2.1"],
    ),
    (
        "webhook:\n  previous_secret: 0123456789abcdef",
        Missing,
        "webhook.previous_secret_until",
        2,
        [
            "missing although webhook.previous_secret",
            "2026-12-24T18:00:00Z",
            "a day",
        ],
    ),
    (
        "webhook:\n  previous_secret: 0123456789abcdef\n  previous_secret_until: tomorrow",
        InvalidValue,
        "webhook.previous_secret_until",
        3,
        ["`tomorrow` is no such time", "2026-12-24T18:00:00Z", ""],
    ),
    (
        "webhook:\n  public_url: ftp://me.org",
        InvalidValue,
        "webhook.public_url",
        2,
        ["neither", "https", ""],
    ),
    (
        "webhook:\n  public_url: https://",
        InvalidValue,
        "webhook.public_url",
        2,
        ["empty host", "https", ""],
    ),
    (
        "webhook:\n  public_url: https://a:b@me.org",
        InvalidValue,
        "webhook.public_url",
        2,
        ["password", "", "`@`"],
    ),
    (
        "webhook:\n  public_url: https://me.org/?t=1",
        InvalidValue,
        "webhook.public_url",
        2,
        ["`?`", "", "remove"],
    ),
    (
        "outbound:\n  proxy: http://p:1/x",
        InvalidValue,
        "outbound.proxy",
        2,
        ["ends with its port", "3128", ""],
    ),
    (
        "outbound:\n  proxy: socks5://p:1",
        InvalidValue,
        "outbound.proxy",
        2,
        ["neither", "http", ""],
    ),
    // Keys that depend on each other.
    (
        "upstream:\n  kind: midjourney-proxy",
        Missing,
        "upstream.base_url",
        2,
        ["missing", "address of the gateway", ""],
    ),
    (
        "upstream:\n  kind: midjourney-proxy\n  base_url: http://mj.lan:8080",
        Conflict,
        "upstream.base_url",
        3,
        ["unencrypted", "https", "allow_private: true"],
    ),
    (
        "engine:\n  lease_seconds: 59",
        Conflict,
        "engine.lease_seconds",
        2,
        ["shorter", "60", "write at least 60"],
    ),
    (
        "upstream:\n  timeout_seconds: 45",
        Conflict,
        "engine.lease_seconds",
        2,
        [
            "twice upstream.timeout_seconds",
            "at least 90",
            "or lower upstream.timeout_seconds",
        ],
    ),
    (
        "engine:\n  job_timeout_seconds: 9",
        Conflict,
        "engine.job_timeout_seconds",
        2,
        ["shorter", "30", "at least 30"],
    ),
    // Keys.
    (
        "server:\n  prot: 1",
        UnknownKey,
        "server.prot",
        2,
        [
            "unknown key",
            "host, port, public_url, trusted_proxies",
            "`port`?",
        ],
    ),
    (
        "server:\n  Port: 1",
        UnknownKey,
        "server.Port",
        2,
        ["unknown key", "one of", "`port`?"],
    ),
    (
        "server:\n  path: x",
        UnknownKey,
        "server.path",
        2,
        ["unknown key", "one of", "section `storage`"],
    ),
    (
        "port: 1",
        UnknownKey,
        "port",
        1,
        ["unknown key", "data_dir, api, server", "section `server`"],
    ),
    (
        "server.port: 1",
        UnknownKey,
        "server.port",
        1,
        ["unknown", "one of", "section `server:`"],
    ),
    (
        "sever:\n  port: 1",
        UnknownKey,
        "sever",
        1,
        ["unknown key", "server", "`server`?"],
    ),
    ("zebra: 1", UnknownKey, "zebra", 1, ["unknown key", "one of", ""]),
    ("1: 2", UnknownKey, "1", 1, ["unknown key", "one of", ""]),
    ("<<: {a: 1}", UnknownKey, "<<", 1, ["unknown key", "one of", ""]),
    ("? [a]\n: 1", WrongType, "", 1, ["a key that is no text", "", ""]),
    (
        "server:\n  port: 1\n  port: 2",
        DuplicateKey,
        "server.port",
        3,
        ["already on line 2", "", "remove one"],
    ),
    (
        "log:\n  level: info\nlog:\n  level: warn",
        DuplicateKey,
        "log",
        3,
        ["already on line 1", "", "remove one"],
    ),
    (
        "server: 8000",
        WrongType,
        "server",
        1,
        ["not a section", "the keys host, port", ""],
    ),
    (
        "server:\n  - port: 1",
        WrongType,
        "server",
        2,
        ["a list", "the keys host", ""],
    ),
    (
        "just text",
        WrongType,
        "",
        1,
        ["not a section", "the keys data_dir", ""],
    ),
    ("- a\n- b", WrongType, "", 1, ["a list", "the keys data_dir", ""]),
    // The text itself.
    ("server:\n\tport: 1", Syntax, "", 2, ["tab", "", "spaces"]),
    (
        "server:\n  port: 1\n   host: a",
        Syntax,
        "",
        3,
        ["`: `", "", "indentation"],
    ),
    ("server:\n  host: \"a", Syntax, "", 2, ["", "", ""]),
    ("server: {port: 1", Syntax, "", 1, ["", "", ""]),
    (
        "server:\n  host: a\n  port\nlog:\n",
        Syntax,
        "",
        3,
        ["no `key: value`", "", "colon and a space"],
    ),
    (
        "server:\n  host: @home",
        Syntax,
        "",
        2,
        ["may not begin a value", "", "quotes"],
    ),
    (
        "server: &s\n  port: 1",
        Unsupported,
        "",
        2,
        ["anchors", "", "remove"],
    ),
    (
        "log:\n  level: !!str info",
        Unsupported,
        "",
        2,
        ["tags", "", "remove"],
    ),
    (
        "log:\n  level: *x",
        Unsupported,
        "",
        2,
        ["aliases", "", "write the value"],
    ),
    (
        "log:\n  level: info\n---\nlog:\n  level: warn",
        Unsupported,
        "",
        3,
        ["second document", "", "one document"],
    ),
    (
        "a: [[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]",
        TooLarge,
        "",
        1,
        ["deeper than 16", "", ""],
    ),
];

#[test]
fn every_mistake_has_its_place_words_and_mend() {
    for (text, kind, path, at, [message, expected, mend]) in ROWS {
        let found = issues(text);
        let [issue] = found.as_slice() else {
            panic!("not one issue for {text:?}: {found:#?}")
        };
        assert_eq!(
            (issue.kind, issue.path.as_str()),
            (*kind, *path),
            "{text:?}: {issue}"
        );
        assert_eq!(line(&issue.origin), Some(*at), "{text:?}: {issue}");
        assert!(issue.message.contains(message), "{text:?}: {issue}");
        assert!(
            issue.expected.as_deref().unwrap_or_default().contains(expected),
            "{text:?}: {issue}"
        );
        match issue.mend.as_deref() {
            Some(said) if !mend.is_empty() => assert!(said.contains(mend), "{text:?}: {issue}"),
            said => assert!(
                said.is_none() == mend.is_empty() || message.is_empty(),
                "{text:?}: {issue}"
            ),
        }
    }
    assert!(ROWS.len() >= 80);
}

#[test]
fn all_mistakes_come_at_once_in_the_order_of_the_file() {
    let text =
        "server:\n  port: x\n  hots: y\n  workers: 0\nlog: 3\nstorage:\n  type: s4\n  type: local\nfoo: 1\n";
    let error = load(
        text,
        &[
            ("MIDJOURNEY__LOG__LEVEL", "loud"),
            ("MIDJOURNEY__LOG__LEVLE", "info"),
        ],
    )
    .unwrap_err();
    let found: Vec<_> = error.issues().iter().map(|issue| issue.path.as_str()).collect();
    let wanted = [
        "server.port",
        "server.hots",
        "server.workers",
        "log",
        "storage.type",
        "storage.type",
        "foo",
        "",
        "log.level",
    ];
    assert_eq!(found, wanted);
    let shown = error.to_string();
    assert_eq!(shown.lines().count(), 1 + wanted.len());
    assert!(
        shown.starts_with("9 errors in the configuration\nmidjourney.yaml:2:9: server.port: `x` is no whole")
    );
    assert!(shown.contains(
        "\nMIDJOURNEY__LOG__LEVLE: this variable fits no key (did you mean MIDJOURNEY__LOG__LEVEL?)"
    ));
}

#[test]
fn one_mistake_does_not_cause_another() {
    let text = "upstream:\n  kind: midjourney-proxy\n  base_url: nonsense\nengine:\n  lease_seconds: soon\n";
    let found: Vec<_> = issues(text).into_iter().map(|issue| issue.path).collect();
    assert_eq!(found, ["upstream.base_url", "engine.lease_seconds"]);
}

#[test]
fn very_many_mistakes_are_counted_but_not_all_listed() {
    let text = (0..250)
        .map(|number| format!("k{number}: 1\n"))
        .collect::<Vec<_>>()
        .concat();
    let error = Config::from_yaml(&text).unwrap_err();
    assert_eq!(
        (error.issues().len(), error.omitted()),
        (ConfigError::MAX_ISSUES, 150)
    );
    assert!(error.to_string().starts_with("250 errors"));
    assert!(error.to_string().ends_with("and 150 more"));
}

#[test]
fn issues_serialise_for_programs() {
    let json = serde_json::to_value(&issues("server:\n  prot: 1")[0]).unwrap();
    assert_eq!(json["kind"], "unknown_key");
    assert_eq!(json["path"], "server.prot");
    let origin = serde_json::json!({"from": "file", "name": "midjourney.yaml", "line": 2, "column": 3});
    assert_eq!(json["origin"], origin);
}
