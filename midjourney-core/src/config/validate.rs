//! What single values cannot tell: keys that depend on each other, placeholders, and doubtful choices.

use std::net::IpAddr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::Config;
use super::env::variable;
use super::issue::{IssueKind, Origin, Refusal, Report};
use super::kind::{Kind as _, Moment};
use super::schema::ACCOUNTS;
use super::sections::{KeySource, StorageKind, Upstream, UpstreamKind, is_localhost};

/// A secret shorter than this can be guessed.
const SHORT_SECRET: usize = 16;

/// Settles what depends on several keys; runs after all of them are read.
pub(super) fn settle(config: &mut Config, report: &mut Report) {
    placeholders(config, report);
    api(config, report);
    server(config, report);
    bucket(config, report);
    database(config, report);
    webhook(config, report);
    discord(config, report);
    accounts(config, report);
    engine(config, report);
}

fn origin(config: &Config, path: &str) -> Origin {
    config.origins.get(path).cloned().unwrap_or(Origin::Default)
}

/// Values of the documented example must never be used: everybody knows them.
fn placeholders(config: &mut Config, report: &mut Report) {
    let example = |value: &Option<SecretString>, word: &str| {
        value.as_ref().is_some_and(|value| value.expose_secret() == word)
    };
    let domain = |url: &Option<Url>| {
        url.as_ref()
            .and_then(Url::host_str)
            .is_some_and(is_example_domain)
    };
    let message = "this is the placeholder of the example and counts as not set";
    if example(&config.api.midjourney_key, "encrypted_key_here") {
        config.api.midjourney_key = None;
        let mend = "set the variable MIDJOURNEY_API_KEY to your key";
        report.warning(
            "api.midjourney_key",
            origin(config, "api.midjourney_key"),
            message,
            mend,
        );
    }
    if example(&config.webhook.secret, "webhook_secret_key") {
        config.webhook.secret = None;
        report.warning(
            "webhook.secret",
            origin(config, "webhook.secret"),
            message,
            "choose a long random text",
        );
    }
    if example(&config.webhook.verification_token, "verification_token") {
        config.webhook.verification_token = None;
        let path = "webhook.verification_token";
        report.warning(path, origin(config, path), message, "choose a long random text");
    }
    if domain(&config.webhook.public_url) {
        config.webhook.public_url = None;
        let mend = "write the address under which the upstream reaches this server";
        report.warning(
            "webhook.public_url",
            origin(config, "webhook.public_url"),
            message,
            mend,
        );
    }
}

fn is_example_domain(host: &str) -> bool {
    host == "your-domain.com" || host.ends_with(".your-domain.com")
}

fn api(config: &mut Config, report: &mut Report) {
    let source_given = config.origins.contains_key("api.key_source");
    let key_origin = origin(config, "api.midjourney_key");
    let api = &mut config.api;
    match (&api.midjourney_key, &key_origin) {
        (Some(_), Origin::Env { .. }) => {
            api.key_source = KeySource::Environment;
            config.origins.insert("api.key_source".to_owned(), key_origin);
        }
        (Some(_), _) if source_given && api.key_source != KeySource::Manual => {
            api.midjourney_key = None;
            let message = format!("is not used because api.key_source is `{}`", api.key_source);
            report.warning(
                "api.midjourney_key",
                key_origin,
                message,
                "remove the key, or write key_source: manual",
            );
        }
        (Some(_), _) => {
            if !source_given {
                api.key_source = KeySource::Manual;
                config
                    .origins
                    .insert("api.key_source".to_owned(), key_origin.clone());
            }
            let message = "the key stands in the file as plain text";
            let mend = "set the variable MIDJOURNEY_API_KEY instead and remove the key from the file";
            report.warning("api.midjourney_key", key_origin, message, mend);
        }
        (None, _) => {}
    }
    if config.api.midjourney_key.is_none()
        && source_given
        && config.api.key_source == KeySource::Environment
        && !config.is_simulated()
    {
        let message = "the key shall come from the environment, but MIDJOURNEY_API_KEY is not set";
        report.warning(
            "api.key_source",
            origin(config, "api.key_source"),
            message,
            "set MIDJOURNEY_API_KEY",
        );
    }
}

fn server(config: &Config, report: &mut Report) {
    if config.server.allow_unauthenticated && !config.server.is_loopback() {
        let path = "server.allow_unauthenticated";
        let message = "everybody who reaches this server can spend your credit";
        report.warning(
            path,
            origin(config, path),
            message,
            "listen on 127.0.0.1, or keep strangers out otherwise",
        );
    }
}

/// Pictures lie in a folder or in a bucket, and each has keys of its own.
fn bucket(config: &Config, report: &mut Report) {
    let storage = &config.storage;
    let kind = storage.kind;
    let missing = |message: String, mend: &str| Refusal {
        kind: IssueKind::Missing,
        message,
        mend: Some(mend.to_owned()),
    };
    let key = "storage.bucket";
    if kind != StorageKind::Local && storage.bucket.is_none() && !report.blames(key) {
        let refusal = missing(
            format!("missing although storage.type is `{kind}`"),
            "write the name of the bucket, or storage.type: local",
        );
        report.issue(key, origin(config, "storage.type"), refusal, None);
    }
    let (id, secret) = ("storage.access_key_id", "storage.secret_access_key");
    let one = match (&storage.access_key_id, &storage.secret_access_key) {
        (Some(_), None) => Some((secret, id)),
        (None, Some(_)) => Some((id, secret)),
        _ => None,
    };
    if let Some((missed, given)) = one
        && !report.blames(missed)
    {
        let refusal = missing(
            format!("missing although {given} is set"),
            "set both, or neither for what the environment has",
        );
        report.issue(missed, origin(config, given), refusal, None);
    }
    let buckets = [StorageKind::S3, StorageKind::Gcs, StorageKind::Azure];
    let keys = [StorageKind::S3, StorageKind::Azure];
    for (path, given, kinds) in [
        ("storage.path", storage.path.is_some(), &[StorageKind::Local][..]),
        (key, storage.bucket.is_some(), &buckets[..]),
        ("storage.prefix", storage.prefix.is_some(), &buckets[..]),
        ("storage.region", storage.region.is_some(), &[StorageKind::S3][..]),
        ("storage.endpoint", storage.endpoint.is_some(), &buckets[..]),
        ("storage.signed_links", storage.signed_links, &buckets[..]),
        (id, storage.access_key_id.is_some(), &keys[..]),
        (secret, storage.secret_access_key.is_some(), &keys[..]),
        (
            "storage.credentials_file",
            storage.credentials_file.is_some(),
            &[StorageKind::Gcs][..],
        ),
    ] {
        if given && !kinds.contains(&kind) && !report.blames("storage.type") {
            let message = format!("is not used because storage.type is `{kind}`");
            report.warning(path, origin(config, path), message, "");
        }
    }
}

/// Jobs lie in one database.
fn database(config: &Config, report: &mut Report) {
    let (file, address) = ("storage.database", "storage.database_url");
    if config.storage.database_url.is_some() {
        if config.storage.database.is_some() {
            let refusal = Refusal {
                kind: IssueKind::Conflict,
                message: format!("there is also {address}, and jobs lie in one database"),
                mend: Some("remove one of the two".to_owned()),
            };
            report.issue(file, origin(config, file), refusal, None);
        }
        if is_read_on_the_way(config) {
            let message = "the way to the database is not encrypted: others may read what goes over it";
            report.warning(
                address,
                origin(config, address),
                message,
                "add ?sslmode=require, or name the certificate's authority as storage.database_ca",
            );
        }
        return;
    }
    let authority = "storage.database_ca";
    if config.storage.database_ca.is_some() && !report.blames(address) {
        let message = format!("is not used because {address} is not set");
        report.warning(authority, origin(config, authority), message, "");
    }
}

fn is_read_on_the_way(config: &Config) -> bool {
    let address = config.storage.database_url.as_ref();
    let url = address.and_then(|address| Url::parse(address.expose_secret()).ok());
    url.is_some_and(|url| {
        let required = url
            .query_pairs()
            .any(|(key, value)| key == "sslmode" && value == "require");
        // `Url` does not look into the host of such an address: numbers come as names, and so does the folder of a socket.
        let local = url.host_str().is_none_or(|host| {
            let number = host.trim_matches(['[', ']']).parse::<IpAddr>();
            is_localhost(host) || host.starts_with('%') || number.is_ok_and(|number| number.is_loopback())
        });
        !local && !required && config.storage.database_ca.is_none()
    })
}

fn webhook(config: &Config, report: &mut Report) {
    let path = "server.public_url";
    if config.server.public_url.as_ref().is_some_and(is_loopback) {
        let message = "only this machine can reach this address, an upstream cannot";
        report.warning(path, origin(config, path), message, "write a public address");
    }
    let webhook = &config.webhook;
    if let Some(url) = &webhook.public_url {
        let path = "webhook.public_url";
        if is_loopback(url) {
            let message = "only this machine can reach this address, the upstream cannot";
            report.warning(path, origin(config, path), message, "write a public address");
        } else if webhook.ssl_enabled && url.scheme() == "http" {
            let message = "the address is plain http although webhook.ssl_enabled is true";
            report.warning(
                path,
                origin(config, path),
                message,
                "write an https address, or ssl_enabled: false",
            );
        } else if webhook.secret.is_none() {
            let message = "is not used: there is no webhook.secret to prove callbacks by";
            report.warning(
                path,
                origin(config, path),
                message,
                "set webhook.secret to a long random text",
            );
        }
    }
    rotation(config, report);
    let secrets = [
        ("webhook.secret", &webhook.secret),
        ("webhook.verification_token", &webhook.verification_token),
    ];
    for (path, secret) in secrets {
        if secret
            .as_ref()
            .is_some_and(|secret| secret.expose_secret().len() < SHORT_SECRET)
        {
            let message = format!("shorter than {SHORT_SECRET} characters and so easy to guess");
            report.warning(path, origin(config, path), message, "choose a long random text");
        }
    }
}

/// An older secret needs an end, or it would be good for ever.
fn rotation(config: &Config, report: &mut Report) {
    let webhook = &config.webhook;
    let (secret, until) = ("webhook.previous_secret", "webhook.previous_secret_until");
    match (&webhook.previous_secret, webhook.previous_secret_until) {
        (Some(_), None) if !report.blames(until) => {
            let refusal = Refusal {
                kind: IssueKind::Missing,
                message: format!("missing although {secret} is set"),
                mend: None,
            };
            let refusal =
                refusal.mend("write when the last task ends whose address was made with it; a day is plenty");
            report.issue(until, origin(config, secret), refusal, Some(Moment.expected()));
        }
        (None, Some(_)) => {
            let message = format!("is not used because {secret} is not set");
            report.warning(until, origin(config, until), message, "");
        }
        _ => {}
    }
}

fn discord(config: &Config, report: &mut Report) {
    let wishes = [
        ("discord_automation.enabled", config.discord_automation.enabled),
        (
            "discord_automation.credentials_stored",
            config.discord_automation.credentials_stored,
        ),
        ("api.key_source", config.api.key_source == KeySource::Discord),
    ];
    for (path, _) in wishes.into_iter().filter(|(_, wished)| *wished) {
        let message = "the login automation is not available in this build, so this has no effect";
        report.warning(
            path,
            origin(config, path),
            message,
            "set the variable MIDJOURNEY_API_KEY",
        );
    }
}

/// Either one account or several; each with what its upstream needs.
fn accounts(config: &Config, report: &mut Report) {
    if config.accounts.is_empty() {
        upstream("upstream", &config.upstream, config, report);
        return;
    }
    for (name, account) in &config.accounts {
        let section = format!("{ACCOUNTS}.{name}");
        upstream(&section, &account.upstream, config, report);
        let key = format!("{section}.key");
        if account.key.is_some() && matches!(origin(config, &key), Origin::File { .. }) {
            let message = "the key stands in the file as plain text";
            let mend = format!(
                "set the variable {} instead and remove the key from the file",
                variable(&key)
            );
            report.warning(&key, origin(config, &key), message, &mend);
        }
    }
    for path in config.origins.keys() {
        if path.starts_with("upstream.") || path == "api.midjourney_key" {
            let refusal = Refusal {
                kind: IssueKind::Conflict,
                message: format!("is for a single account, but there is the section `{ACCOUNTS}`"),
                mend: Some(format!("write it in the account's section, as `{ACCOUNTS}.NAME`")),
            };
            report.issue(path, origin(config, path), refusal, None);
        }
    }
}

/// What an upstream needs beyond single values; its keys are in `section`.
fn upstream(section: &str, upstream: &Upstream, config: &Config, report: &mut Report) {
    let kind = format!("{section}.kind");
    let path = &*format!("{section}.base_url");
    if [&*kind, path, "outbound.allow_private"]
        .iter()
        .any(|path| report.blames(path))
    {
        return;
    }
    let simulated = upstream.kind == UpstreamKind::Simulator;
    match &upstream.base_url {
        Some(_) if simulated => {
            let message = format!("is not used because {kind} is `simulator`");
            let mend = "write kind: midjourney-proxy to use it";
            report.warning(path, origin(config, path), message, mend);
        }
        None if upstream.kind == UpstreamKind::MidjourneyProxy => {
            let refusal = Refusal {
                kind: IssueKind::Missing,
                message: format!("missing although {kind} is `{}`", upstream.kind),
                mend: None,
            };
            let expected = "the address of the gateway, such as https://example.com/mj".to_owned();
            report.issue(path, origin(config, &kind), refusal, Some(expected));
        }
        Some(url) if url.scheme() == "http" && !is_loopback(url) && !config.outbound.allow_private => {
            let refusal = Refusal {
                kind: IssueKind::Conflict,
                message: "the key would travel unencrypted over plain http".to_owned(),
                mend: None,
            };
            let refusal =
                refusal.mend("use https, or set outbound.allow_private: true for a network of your own");
            let expected = "an https address, or one of this machine".to_owned();
            report.issue(path, origin(config, path), refusal, Some(expected));
        }
        _ => {}
    }
    if upstream.dialect.is_some() && upstream.kind != UpstreamKind::MidjourneyProxy {
        let path = format!("{section}.dialect");
        let message = format!("is not used because {kind} is `{}`", upstream.kind);
        report.warning(&path, origin(config, &path), message, "");
    }
    if upstream.webhook_secret.is_some() && upstream.kind != UpstreamKind::LegNext {
        let path = format!("{section}.webhook_secret");
        let message = format!(
            "is not used: `{}` signs nothing with a secret of yours",
            upstream.kind
        );
        report.warning(&path, origin(config, &path), message, "");
    }
}

/// A lease must outlive the longest call twice, else two processes would work on one job.
fn engine(config: &Config, report: &mut Report) {
    let lease = "engine.lease_seconds";
    let submit = "engine.submit_timeout_seconds".to_owned();
    let mut calls = vec![
        (submit, config.engine.submit_timeout),
        ("upstream.timeout_seconds".to_owned(), config.upstream.timeout),
    ];
    calls.extend(config.accounts.iter().map(|(name, account)| {
        let path = format!("{ACCOUNTS}.{name}.timeout_seconds");
        (path, account.upstream.timeout)
    }));
    let longest = calls
        .into_iter()
        .filter(|(path, _)| !report.blames(path))
        .max_by_key(|(_, timeout)| *timeout);
    if let Some((path, timeout)) = longest
        && !report.blames(lease)
        && config.engine.lease < timeout.saturating_mul(2)
    {
        too_short(
            config,
            report,
            lease,
            timeout.saturating_mul(2),
            &format!("twice {path}"),
            &path,
        );
    }
    let (job, submit) = ("engine.job_timeout_seconds", "engine.submit_timeout_seconds");
    if !report.blames(job)
        && !report.blames(submit)
        && config.engine.job_timeout < config.engine.submit_timeout
    {
        too_short(config, report, job, config.engine.submit_timeout, submit, submit);
    }
}

fn too_short(
    config: &Config,
    report: &mut Report,
    path: &'static str,
    least: Duration,
    what: &str,
    other: &str,
) {
    // Whoever set only the other key finds the mistake there.
    let place = if config.origins.contains_key(path) {
        path
    } else {
        other
    };
    let message = format!("shorter than {what}");
    let refusal = Refusal {
        kind: IssueKind::Conflict,
        message,
        mend: None,
    };
    let refusal = refusal.mend(format!("write at least {}, or lower {other}", least.as_secs()));
    report.issue(
        path,
        origin(config, place),
        refusal,
        Some(format!("at least {} seconds", least.as_secs())),
    );
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_localhost(name),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
