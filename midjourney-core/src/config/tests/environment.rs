//! The environment overlay.

use super::*;
use secrecy::ExposeSecret;
use std::ffi::OsString;

fn env(name: &str) -> Origin {
    Origin::Env {
        variable: name.to_owned(),
    }
}

#[test]
fn every_key_can_be_set_by_its_variable() {
    let values = |path: &str| match path {
        "api.midjourney_key" => "sk-1",
        "api.key_source" => "manual",
        "server.host" => "::1",
        "storage.type" => "local",
        "webhook.secret" | "webhook.previous_secret" | "webhook.verification_token" => {
            "0123456789abcdef: # it's"
        }
        "server.trusted_proxies" | "webhook.allowed_ips" => "192.0.2.1, 2001:db8::/32",
        "webhook.previous_secret_until" => "2026-12-24T18:00:00Z",
        "server.public_url" | "webhook.public_url" | "upstream.base_url" => "https://mj.example.org/x",
        "upstream.kind" => "midjourney-proxy",
        "upstream.dialect" => "plus",
        "pool.strategy" => "priority",
        "upstream.account" => "main",
        "outbound.proxy" => "http://p.example.org:3128",
        "prompt.default_version" => "niji 6",
        "prompt.plan" => "pro",
        "log.level" => "debug",
        "log.format" => "json",
        "storage.endpoint" | "storage.public_base_url" => "https://s3.example.org",
        "storage.signed_links" => "true",
        "storage.database_url" => "postgres://mj:s%40cret@db.example.org/mj",
        "data_dir"
        | "storage.path"
        | "storage.database"
        | "storage.database_ca"
        | "storage.credentials_file"
        | "prompt.table" => "/srv/mj",
        "engine.lease_seconds" => "7000",
        path if path.contains("enabled") || path.contains("allow") || path.contains("stored") => "true",
        _ => "77",
    };
    for path in &paths() {
        let variable = variable(path);
        let mut pairs = vec![(variable.as_str(), values(path))];
        if path == "upstream.kind" {
            pairs.push(("MIDJOURNEY__UPSTREAM__BASE_URL", "https://mj.example.org"));
        }
        if path == "webhook.previous_secret" {
            pairs.push((
                "MIDJOURNEY__WEBHOOK__PREVIOUS_SECRET_UNTIL",
                "2026-12-24T18:00:00Z",
            ));
        }
        if path == "storage.access_key_id" {
            pairs.push(("MIDJOURNEY__STORAGE__SECRET_ACCESS_KEY", "77"));
        }
        if path == "storage.secret_access_key" {
            pairs.push(("MIDJOURNEY__STORAGE__ACCESS_KEY_ID", "77"));
        }
        if path.ends_with("timeout_seconds") {
            pairs.push(("MIDJOURNEY__ENGINE__LEASE_SECONDS", "7000"));
        }
        let config = load("", &pairs).unwrap_or_else(|error| panic!("{path}: {error}"));
        let entry = entry(&config, path);
        assert_eq!(entry.origin, env(&variable), "{path}");
        assert!(entry.value != serde_json::Value::Null, "{path}");
    }
}

#[test]
fn a_variable_wins_over_the_file_and_null_undoes_it() {
    let text = "server:\n  port: 1\n  host: ::1\n  workers: 3\nupstream:\n  account: a\n";
    let pairs = [
        ("MIDJOURNEY__SERVER__PORT", "9000"),
        ("MIDJOURNEY__SERVER__WORKERS", "null"),
        ("MIDJOURNEY__SERVER__HOST", ""),
        ("MIDJOURNEY__UPSTREAM__ACCOUNT", "~"),
        ("MIDJOURNEY_CONFIG", "other.yaml"),
        ("PATH", "/bin"),
    ];
    let config = load(text, &pairs).unwrap();
    assert_eq!(
        (
            config.server.port,
            config.server.workers,
            config.server.host.as_str()
        ),
        (9000, None, "::1")
    );
    assert_eq!(config.upstream.account_name(), "simulator");
    assert_eq!(
        entry(&config, "server.port").origin,
        env("MIDJOURNEY__SERVER__PORT")
    );
    assert_eq!(line(&entry(&config, "server.host").origin), Some(3));
    assert_eq!(entry(&config, "log.level").origin, Origin::Default);
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
}

#[test]
fn the_short_names_set_key_and_data_directory() {
    let pairs = [("MIDJOURNEY_API_KEY", "sk-1"), ("MIDJOURNEY_DATA_DIR", "/srv/mj")];
    let config = load(
        "api:\n  midjourney_key: other\n  key_source: manual\ndata_dir: /tmp\n",
        &pairs,
    )
    .unwrap();
    assert_eq!(
        config.api.midjourney_key.as_ref().unwrap().expose_secret(),
        "sk-1"
    );
    assert_eq!(config.api.key_source, KeySource::Environment);
    assert_eq!(config.data_dir.as_deref(), Some(Path::new("/srv/mj")));
    assert_eq!(entry(&config, "api.key_source").origin, env("MIDJOURNEY_API_KEY"));
    assert_eq!(entry(&config, "data_dir").origin, env("MIDJOURNEY_DATA_DIR"));
    let [warning] = config.warnings() else {
        panic!("{:?}", config.warnings())
    };
    assert_eq!(
        (warning.path.as_str(), line(&warning.origin)),
        ("api.midjourney_key", Some(2))
    );
    assert!(warning.message.contains("MIDJOURNEY_API_KEY is set"), "{warning}");
}

#[test]
fn the_short_name_wins_over_the_long_one_and_says_so() {
    let pairs = [
        ("MIDJOURNEY__API__MIDJOURNEY_KEY", "sk-long"),
        ("MIDJOURNEY_API_KEY", "sk-short"),
    ];
    let config = load("", &pairs).unwrap();
    assert_eq!(
        config.api.midjourney_key.as_ref().unwrap().expose_secret(),
        "sk-short"
    );
    assert_eq!(
        config.warnings()[0].origin,
        env("MIDJOURNEY__API__MIDJOURNEY_KEY")
    );
    // An empty short one does not count.
    let pairs = [
        ("MIDJOURNEY__API__MIDJOURNEY_KEY", "sk-long"),
        ("MIDJOURNEY_API_KEY", ""),
    ];
    let config = load("", &pairs).unwrap();
    assert_eq!(
        config.api.midjourney_key.as_ref().unwrap().expose_secret(),
        "sk-long"
    );
    assert!(config.warnings().is_empty());
}

#[test]
fn wrong_variables_are_errors_that_name_them() {
    let rows = [
        (
            "MIDJOURNEY__SERVER__PROT",
            "1",
            "fits no key",
            "MIDJOURNEY__SERVER__PORT?",
        ),
        (
            "MIDJOURNEY__server__port",
            "1",
            "fits no key",
            "MIDJOURNEY__SERVER__PORT?",
        ),
        ("MIDJOURNEY__SERVER", "1", "names a section", ""),
        ("MIDJOURNEY__", "1", "fits no key", ""),
        ("MIDJOURNEY__ZEBRA", "1", "fits no key", ""),
        (
            "MIDJOURNEY__SERVER__PORT",
            "many",
            "`many` is no whole number",
            "",
        ),
        ("MIDJOURNEY__SERVER__PORT", "{a: 1}", "no whole number", ""),
        ("MIDJOURNEY__SERVER__PORT", "70000", "out of range", ""),
        (
            "MIDJOURNEY__WEBHOOK__SSL_ENABLED",
            "1",
            "neither true nor false",
            "write true",
        ),
        ("MIDJOURNEY__LOG__FORMAT", "xml", "none of the choices", ""),
        ("MIDJOURNEY_API_KEY", "a b", "a space", ""),
        ("MIDJOURNEY_API_KEY", "abc\r", "control character", ""),
    ];
    for (name, value, message, mend) in rows {
        let error = load("", &[(name, value)]).unwrap_err();
        let [issue] = error.issues() else {
            panic!("{name}: {error}")
        };
        assert_eq!(issue.origin, env(name));
        assert!(issue.to_string().starts_with(&format!("{name}: ")), "{issue}");
        assert!(issue.message.contains(message), "{issue}");
        assert!(
            issue.mend.as_deref().unwrap_or_default().contains(mend),
            "{issue}"
        );
    }
}

#[test]
fn single_underscores_are_pointed_out() {
    let config = load("", &[("MIDJOURNEY_SERVER_PORT", "1")]).unwrap();
    assert_eq!(config.server.port, 8000);
    assert!(
        config.warnings()[0]
            .to_string()
            .contains("MIDJOURNEY__SERVER__PORT")
    );
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_utf8_is_an_error() {
    use std::os::unix::ffi::OsStringExt;
    let pairs = [(
        OsString::from("MIDJOURNEY_API_KEY"),
        OsString::from_vec(vec![0xff, 0x61]),
    )];
    let error = Config::load(None, &Environment::from_pairs(pairs)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("MIDJOURNEY_API_KEY: api.midjourney_key: the value is not UTF-8 text")
    );
}

#[test]
fn the_environment_of_the_process_can_be_read() {
    let names = format!("{:?}", Environment::of_process());
    assert!(!names.contains("PATH=") && !names.contains("\"PATH\""));
}
