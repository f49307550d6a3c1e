//! What is accepted, and what comes out.

use super::*;
use secrecy::ExposeSecret;
use serde_json::json;
use std::time::Duration;

#[test]
fn the_documented_file_is_read_key_for_key() {
    for (word, source) in [
        ("manual", KeySource::Manual),
        ("environment", KeySource::Environment),
        ("discord", KeySource::Discord),
    ] {
        let config = Config::from_yaml(&documented(word)).unwrap();
        assert_eq!(config.api.key_source, source);
        assert_eq!(
            (
                config.server.host.as_str(),
                config.server.port,
                config.server.workers
            ),
            ("0.0.0.0", 8000, Some(4))
        );
        assert!(!config.server.is_loopback());
        assert_eq!(config.storage.kind, StorageKind::Local);
        assert_eq!(config.images_dir(Path::new("/d")), Path::new("./images"));
        assert_eq!(
            config.database_path(Path::new("/d")),
            Path::new("/d/midjourney.db")
        );
        assert_eq!(config.storage.retention(), Some(Duration::from_secs(30 * 86_400)));
        assert!(!config.discord_automation.enabled && !config.discord_automation.credentials_stored);
        assert!(config.webhook.ssl_enabled);
    }
}

#[test]
fn placeholders_of_the_documented_file_are_never_used() {
    let config = Config::from_yaml(&documented("manual")).unwrap();
    assert!(config.api.midjourney_key.is_none());
    assert!(config.webhook.public_url.is_none());
    assert!(config.webhook.secret.is_none() && config.webhook.verification_token.is_none());
    assert_eq!(
        warned(&config),
        [
            "api.midjourney_key",
            "webhook.secret",
            "webhook.verification_token",
            "webhook.public_url"
        ]
    );
    assert_eq!(line(&config.warnings()[0].origin), Some(2));
    let real = documented("manual").replace("webhook_secret_key", "a-long-and-random-secret-of-ours");
    let config = Config::from_yaml(&real).unwrap();
    assert_eq!(
        config.webhook.secret.unwrap().expose_secret(),
        "a-long-and-random-secret-of-ours"
    );
}

#[test]
fn nothing_and_nearly_nothing_give_the_defaults() {
    let defaults = Config::default().entries();
    for text in [
        "",
        "\n",
        "# only a comment\n",
        "---\n",
        "null",
        "{}",
        "server:\n",
        "server: ~\nlog: {}\n",
        "\u{feff}",
    ] {
        let config = Config::from_yaml(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(config.entries(), defaults, "{text:?}");
        assert!(config.warnings().is_empty());
    }
    assert_eq!(
        Config::load(None, &Environment::empty()).unwrap().entries(),
        defaults
    );
    let config = Config::default();
    assert!(config.server.is_loopback());
    assert_eq!(config.storage.retention(), None);
    assert_eq!(config.upstream.account_name(), "simulator");
    let other = "upstream: { kind: midjourney-proxy, base_url: 'https://one.example:8443/mj' }";
    let other = Config::from_yaml(other).unwrap();
    assert_eq!(other.upstream.account_name(), "midjourney-proxy@one.example:8443");
    assert_eq!(config.images_dir(Path::new("/d")), Path::new("/d/images"));
}

#[test]
fn the_example_holds_every_key_with_its_default() {
    let config = Config::from_yaml(EXAMPLE).unwrap();
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
    let values = |config: &Config| -> Vec<_> {
        config
            .entries()
            .into_iter()
            .map(|entry| (entry.path, entry.value))
            .collect()
    };
    assert_eq!(values(&config), values(&Config::default()));
    let (tree, problems) = yaml::read(EXAMPLE);
    assert!(problems.is_empty());
    let mut written = Vec::new();
    let yaml::Value::Map(sections) = tree.unwrap().value else {
        panic!("no map")
    };
    let text = |node: &yaml::Node<'_>| match &node.value {
        yaml::Value::Scalar(scalar) => scalar.text.to_string(),
        _ => panic!("a key that is no text"),
    };
    for (name, value) in &sections {
        match &value.value {
            yaml::Value::Map(keys) => {
                written.extend(
                    keys.iter()
                        .map(|(key, _)| format!("{}.{}", text(name), text(key))),
                );
            }
            _ => written.push(text(name)),
        }
    }
    written.retain(|path| path != schema::ACCOUNTS);
    assert_eq!(written, paths());
}

#[test]
fn byte_order_mark_line_ends_and_flow_style_are_accepted() {
    let texts = [
        "\u{feff}server:\n  port: 9000\n  host: ::1\n",
        "server:\r\n  port: 9000\r\n  host: ::1\r\n",
        "%YAML 1.2\n---\nserver: {port: 9000, host: \"::1\"}\n...\n",
        "{\"server\": {\"port\": 9000, \"host\": \"::1\"}}",
        "server:\n    # four spaces\n    port:   9000 # a comment\n\n    host: '::1'",
    ];
    for text in texts {
        let config = Config::from_yaml(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(
            (config.server.port, config.server.host.as_str()),
            (9000, "::1"),
            "{text:?}"
        );
        assert!(config.server.is_loopback());
    }
    let issue = &issues("\u{feff}server:\r\n  port: x\r\n")[0];
    assert_eq!(issue.origin.to_string(), "midjourney.yaml:2:9");
}

#[test]
fn texts_are_taken_as_written() {
    let text = "prompt:\n  default_version: 6.1\nupstream:\n  account: 007\nwebhook:\n  secret: 12345678901234567890\n";
    let config = Config::from_yaml(text).unwrap();
    assert_eq!(config.prompt.default_version.as_deref(), Some("6.1"));
    assert_eq!(config.upstream.account_name(), "007");
    assert_eq!(
        config.webhook.secret.unwrap().expose_secret(),
        "12345678901234567890"
    );
}

#[test]
fn hosts_that_are_accepted() {
    for host in [
        "127.0.0.1",
        "::",
        "0.0.0.0",
        "localhost",
        "mj.example.org",
        "mj.example.org.",
        "host-1",
        "::ffff:1.2.3.4",
    ] {
        let config = Config::from_yaml(&format!("server:\n  host: \"{host}\"\n")).unwrap();
        assert_eq!(config.server.host, host);
    }
    let on = |host: &str| {
        Server {
            host: host.to_owned(),
            ..Server::default()
        }
        .is_loopback()
    };
    assert!(on("localhost") && on("LOCALHOST.") && on("::1") && on("127.9.9.9"));
    assert!(!on("::") && !on("localhost.example.org") && !on("mylocalhost"));
}

#[test]
fn an_upstream_is_reached_by_https_on_this_machine_or_with_permission() {
    let with = |url: &str, allow: bool| {
        let text = format!(
            "upstream:\n  kind: midjourney-proxy\n  base_url: {url}\noutbound:\n  allow_private: {allow}\n"
        );
        Config::from_yaml(&text).is_ok()
    };
    for url in [
        "https://mj.example.org/mj",
        "http://localhost:8080",
        "http://127.0.0.1:1",
        "http://[::1]:1",
    ] {
        assert!(with(url, false), "{url}");
    }
    for url in [
        "http://mj.example.org",
        "http://192.168.1.2:8080",
        "http://proxy:8080",
        "http://localhost.evil.org",
    ] {
        assert!(!with(url, false), "{url}");
        assert!(with(url, true), "{url}");
    }
}

#[test]
fn doubtful_values_give_warnings() {
    let rows = [
        (
            "api:\n  midjourney_key: sk-1\n",
            "api.midjourney_key",
            "plain text",
            "MIDJOURNEY_API_KEY",
        ),
        (
            "api:\n  midjourney_key: sk\n  key_source: environment\n",
            "api.midjourney_key",
            "not used",
            "manual",
        ),
        (
            "api:\n  key_source: environment\nupstream:\n  kind: midjourney-proxy\n  base_url: https://a.org\n",
            "api.key_source",
            "not set",
            "MIDJOURNEY_API_KEY",
        ),
        (
            "webhook:\n  public_url: https://localhost/x\n",
            "webhook.public_url",
            "only this machine",
            "public",
        ),
        (
            "webhook:\n  public_url: https://127.0.0.1\n",
            "webhook.public_url",
            "only this machine",
            "public",
        ),
        (
            "webhook:\n  public_url: https://mj.your-domain.com\n",
            "webhook.public_url",
            "placeholder",
            "write",
        ),
        (
            "webhook:\n  public_url: http://mj.org/x\n",
            "webhook.public_url",
            "plain http",
            "ssl_enabled",
        ),
        (
            "webhook:\n  secret: short\n",
            "webhook.secret",
            "easy to guess",
            "random",
        ),
        (
            "webhook:\n  verification_token: short\n",
            "webhook.verification_token",
            "easy to guess",
            "random",
        ),
        (
            "discord_automation:\n  enabled: true\n",
            "discord_automation.enabled",
            "not available",
            "MIDJOURNEY_API_KEY",
        ),
        (
            "discord_automation:\n  credentials_stored: true\n",
            "discord_automation.credentials_stored",
            "not",
            "set",
        ),
        (
            "api:\n  key_source: discord\n",
            "api.key_source",
            "not available",
            "MIDJOURNEY_API_KEY",
        ),
        (
            "upstream:\n  base_url: https://a.org\n",
            "upstream.base_url",
            "not used",
            "kind: midjourney-proxy",
        ),
        ("upstream:\n  dialect: plus\n", "upstream.dialect", "not used", ""),
        (
            "server:\n  host: 0.0.0.0\n  allow_unauthenticated: true\n",
            "server.allow_unauthenticated",
            "spend your credit",
            "127.0.0.1",
        ),
    ];
    for (text, path, message, mend) in rows {
        let config = Config::from_yaml(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let [warning] = config.warnings() else {
            panic!("{text:?}: {:?}", config.warnings())
        };
        assert_eq!(warning.path, path, "{text:?}");
        assert!(warning.message.contains(message), "{warning}");
        assert!(
            warning.mend.as_deref().unwrap_or_default().contains(mend),
            "{warning}"
        );
        assert!(line(&warning.origin).is_some(), "{warning}");
    }
}

#[test]
fn an_address_for_callbacks_without_a_secret_is_told_to_be_of_no_use() {
    let text = "webhook:\n  public_url: https://mj.org/webhook/midjourney\n";
    let config = Config::from_yaml(text).unwrap();
    let told = config
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect::<String>();
    for part in ["webhook.public_url", "not used", "webhook.secret"] {
        assert!(told.contains(part), "{told}");
    }
    let config = Config::from_yaml(&format!("{text}  secret: 0123456789abcdef\n")).unwrap();
    assert_eq!(config.warnings(), []);
}

#[test]
fn the_source_of_the_key_follows_from_where_it_stands() {
    let config = Config::from_yaml("api:\n  midjourney_key: sk-1\n").unwrap();
    assert_eq!(config.api.key_source, KeySource::Manual);
    assert_eq!(config.api.midjourney_key.unwrap().expose_secret(), "sk-1");
    let config = Config::from_yaml("api:\n  midjourney_key: sk-1\n  key_source: environment\n").unwrap();
    assert!(config.api.midjourney_key.is_none());
}

#[test]
fn entries_tell_value_and_origin_of_every_key() {
    let text = "server:\n  port: 9000\nengine:\n  lease_seconds: 90\nwebhook:\n  secret: 0123456789abcdef\n";
    let config = Config::from_yaml(text).unwrap();
    let entries = config.entries();
    let listed: Vec<_> = entries.iter().map(|entry| entry.path.clone()).collect();
    assert_eq!(listed, paths());
    assert_eq!(entry(&config, "server.port").value, json!(9000));
    assert_eq!(
        entry(&config, "server.port").origin.to_string(),
        "midjourney.yaml:2:9"
    );
    assert_eq!(entry(&config, "engine.lease_seconds").value, json!(90));
    assert_eq!(entry(&config, "engine.job_timeout_seconds").value, json!(1800));
    assert_eq!(entry(&config, "server.workers").value, json!(null));
    assert_eq!(entry(&config, "webhook.secret").value, json!("set"));
    assert_eq!(entry(&config, "webhook.verification_token").value, json!(null));
    let secrets: Vec<_> = entries
        .iter()
        .filter(|entry| entry.secret)
        .map(|entry| entry.path.as_str())
        .collect();
    assert_eq!(
        secrets,
        [
            "api.midjourney_key",
            "storage.secret_access_key",
            "storage.database_url",
            "webhook.secret",
            "webhook.previous_secret",
            "webhook.verification_token",
            "upstream.webhook_secret",
        ]
    );
}

#[test]
fn files_are_found_and_read() {
    let root = tempfile::tempdir().unwrap();
    let (empty, full) = (root.path().join("empty"), root.path().join("full"));
    std::fs::create_dir(&empty).unwrap();
    std::fs::create_dir(&full).unwrap();
    assert!(
        Source::find([&empty, &full, &root.path().join("none")])
            .unwrap()
            .is_none()
    );
    std::fs::write(full.join(FILE_NAME), "server:\n  port: x\n").unwrap();
    let source = Source::find([&empty, &full]).unwrap().unwrap();
    assert_eq!(source.name(), full.join(FILE_NAME).to_string_lossy());
    let error = Config::load(Some(&source), &Environment::empty()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("full/midjourney.yaml:2:9: server.port"),
        "{error}"
    );

    assert!(matches!(Source::read(&empty), Err(SourceError::Folder { .. })));
    assert!(matches!(
        Source::read(&empty.join("x")),
        Err(SourceError::NotFound { .. })
    ));
    let file = full.join(FILE_NAME);
    std::fs::write(&file, b"server:\n  host: \xff\n").unwrap();
    let error = Source::read(&file).unwrap_err();
    assert!(matches!(error, SourceError::NotUtf8 { line: 2, .. }), "{error}");
    assert!(
        Source::find([&full]).is_err(),
        "a file that is there but wrong is not passed over"
    );
    std::fs::write(&file, vec![b'#'; MAX_FILE_BYTES]).unwrap();
    assert!(Config::load(Some(&Source::read(&file).unwrap()), &Environment::empty()).is_ok());
    std::fs::write(&file, vec![b'#'; MAX_FILE_BYTES + 1]).unwrap();
    assert!(matches!(Source::read(&file), Err(SourceError::TooLarge { .. })));
    std::fs::File::create(&file)
        .unwrap()
        .set_len(100 * 1024 * 1024)
        .unwrap();
    assert!(matches!(Source::read(&file), Err(SourceError::TooLarge { .. })));
    let inside = Source::read(&file.join("x")).unwrap_err();
    assert!(
        matches!(
            inside,
            SourceError::Unreadable { .. } | SourceError::NotFound { .. }
        ),
        "{inside}"
    );
}

#[test]
fn an_open_way_to_a_database_elsewhere_is_warned_of() {
    let warned = |url: &str, more: &str| {
        let text = format!("storage:\n  database_url: \"{url}\"\n{more}");
        let config = Config::from_yaml(&text).unwrap();
        let warnings = config.warnings().iter();
        warnings.map(|warning| warning.path.clone()).collect::<Vec<_>>()
    };
    for url in [
        "postgres://mj@db.example.org/mj",
        "postgres://mj:pw@192.0.2.7:5433/mj",
        "postgresql://mj@[2001:db8::7]/mj?sslmode=prefer",
    ] {
        assert_eq!(warned(url, ""), ["storage.database_url"], "{url}");
    }
    assert_eq!(
        warned("postgres://mj@db.example.org/mj", "  database_ca: /etc/ca.pem\n"),
        Vec::<String>::new()
    );
    for url in [
        "postgres://mj@db.example.org/mj?sslmode=require",
        "postgres://mj@localhost/mj",
        "postgres://mj@127.0.0.1/mj",
        "postgres://mj@[::1]/mj",
        "postgres://mj@%2Frun%2Fpostgresql/mj",
        "postgres:///mj?host=/run/postgresql",
    ] {
        assert_eq!(warned(url, ""), Vec::<String>::new(), "{url}");
    }
}

#[test]
fn jobs_lie_in_one_database() {
    let text = "storage:\n  database: jobs.db\n  database_url: postgres://mj@localhost/mj\n";
    let error = Config::from_yaml(text).unwrap_err();
    assert!(error.to_string().contains("storage.database_url"), "{error}");
}
