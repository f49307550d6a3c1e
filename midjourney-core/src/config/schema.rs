//! Every key of the configuration, once: its path, where its value lives, and what it may be.
//!
//! Reading a file, laying the environment over it, listing values and telling unknown keys apart are all
//! walks over this one table.

use super::Config;
use super::check;
use super::kind::{
    Amount, FilePath, Kind, Moment, Networks, OneOf, Optional, ProxyAddress, Seconds, Secret, Speeds, Switch,
    Text, WebAddress, Whole,
};
use super::sections::{Account, Server, Storage, Upstream, Webhook};
use crate::budget::Budget;

/// Is shown every key in turn.
pub(super) trait Visitor {
    fn key<T: Clone>(&mut self, path: &str, slot: &mut T, kind: impl Kind<T>);
}

const fn whole(least: u32, most: u32) -> Whole {
    Whole { least, most }
}

const fn seconds(most: u32) -> Seconds {
    Seconds(whole(1, most))
}

const HOUR: u32 = 3_600;
const DAY: u32 = 24 * HOUR;

const HOST: Text = Text {
    expected: "an IP address or a host name",
    check: check::host,
};
const ACCOUNT: Text = Text {
    expected: "1 to 64 letters, digits, `-`, `_` or `.`",
    check: check::account,
};
const NAME: Text = Text {
    expected: "a name of letters, digits, `-`, `_` or `.`",
    check: check::name,
};
const PREFIX: Text = Text {
    expected: "names with `/` between them, such as midjourney/images",
    check: check::prefix,
};
const VERSION: Text = Text {
    expected: "a version such as 7, 6.1 or niji 6",
    check: check::version,
};
const LEVEL: Text = Text {
    expected: "off, error, warn, info, debug or trace, or a list such as info,midjourney_core=debug",
    check: check::log_level,
};
const KEY: Secret = Secret {
    expected: "the upstream's key",
    check: check::header_secret,
};
const DATABASE: Secret = Secret {
    expected: "postgres://user:password@host/database",
    check: check::database_address,
};
const PHRASE: Secret = Secret {
    expected: "a text of one line",
    check: check::secret,
};

/// Shows every key of `config` to `v`.
pub(super) fn visit(config: &mut Config, v: &mut impl Visitor) {
    let Config {
        data_dir,
        api,
        server,
        storage,
        retention,
        discord_automation: discord,
        webhook,
        upstream,
        accounts,
        clients,
        pool,
        outbound,
        prompt,
        engine,
        log,
        ..
    } = config;

    v.key("data_dir", data_dir, Optional(FilePath));

    v.key("api.midjourney_key", &mut api.midjourney_key, Optional(KEY));
    v.key("api.key_source", &mut api.key_source, OneOf::new());

    visit_server(server, v);

    visit_storage(storage, v);

    for (name, days) in [
        ("retention.completed_days", &mut retention.completed_days),
        ("retention.failed_days", &mut retention.failed_days),
        ("retention.cancelled_days", &mut retention.cancelled_days),
        ("retention.expired_days", &mut retention.expired_days),
    ] {
        v.key(name, days, whole(0, 36_500));
    }

    v.key("discord_automation.enabled", &mut discord.enabled, Switch);
    v.key(
        "discord_automation.credentials_stored",
        &mut discord.credentials_stored,
        Switch,
    );

    visit_webhook(webhook, v);
    visit_upstream("upstream", upstream, v);
    v.key("upstream.account", &mut upstream.account, Optional(ACCOUNT));

    for (name, account) in accounts {
        visit_account(&format!("{ACCOUNTS}.{name}"), account, v);
    }
    visit_budget("clients", &mut clients.budget, v);
    v.key("pool.strategy", &mut pool.strategy, OneOf::new());

    v.key("outbound.allow_private", &mut outbound.allow_private, Switch);
    v.key("outbound.proxy", &mut outbound.proxy, Optional(ProxyAddress));

    v.key("prompt.table", &mut prompt.table, Optional(FilePath));
    v.key(
        "prompt.default_version",
        &mut prompt.default_version,
        Optional(VERSION),
    );
    v.key("prompt.plan", &mut prompt.plan, Optional(OneOf::new()));
    v.key(
        "prompt.max_jobs_per_request",
        &mut prompt.max_jobs_per_request,
        whole(1, 1_000),
    );

    v.key("engine.concurrency", &mut engine.concurrency, whole(1, 1_024));
    v.key("engine.lease_seconds", &mut engine.lease, seconds(2 * HOUR));
    v.key(
        "engine.submit_timeout_seconds",
        &mut engine.submit_timeout,
        seconds(HOUR),
    );
    v.key(
        "engine.job_timeout_seconds",
        &mut engine.job_timeout,
        seconds(7 * DAY),
    );
    v.key(
        "engine.silence_timeout_seconds",
        &mut engine.silence_timeout,
        seconds(7 * DAY),
    );
    v.key(
        "engine.queue_timeout_seconds",
        &mut engine.queue_timeout,
        seconds(30 * DAY),
    );

    v.key("log.level", &mut log.level, LEVEL);
    v.key("log.format", &mut log.format, OneOf::new());
}

fn visit_storage(storage: &mut Storage, v: &mut impl Visitor) {
    v.key("storage.type", &mut storage.kind, OneOf::new());
    v.key("storage.path", &mut storage.path, Optional(FilePath));
    v.key("storage.bucket", &mut storage.bucket, Optional(NAME));
    v.key("storage.prefix", &mut storage.prefix, Optional(PREFIX));
    v.key("storage.region", &mut storage.region, Optional(NAME));
    v.key("storage.endpoint", &mut storage.endpoint, Optional(WebAddress));
    v.key(
        "storage.access_key_id",
        &mut storage.access_key_id,
        Optional(NAME),
    );
    v.key(
        "storage.secret_access_key",
        &mut storage.secret_access_key,
        Optional(PHRASE),
    );
    v.key(
        "storage.credentials_file",
        &mut storage.credentials_file,
        Optional(FilePath),
    );
    v.key("storage.signed_links", &mut storage.signed_links, Switch);
    v.key(
        "storage.public_base_url",
        &mut storage.public_base_url,
        Optional(WebAddress),
    );
    v.key("storage.database", &mut storage.database, Optional(FilePath));
    v.key(
        "storage.database_url",
        &mut storage.database_url,
        Optional(DATABASE),
    );
    v.key(
        "storage.database_ca",
        &mut storage.database_ca,
        Optional(FilePath),
    );
    v.key(
        "storage.database_connections",
        &mut storage.database_connections,
        whole(2, 1_000),
    );
    v.key(
        "storage.retention_days",
        &mut storage.retention_days,
        whole(0, 36_500),
    );
}

fn visit_server(server: &mut Server, v: &mut impl Visitor) {
    v.key("server.host", &mut server.host, HOST);
    v.key("server.port", &mut server.port, whole(0, 65_535));
    v.key("server.public_url", &mut server.public_url, Optional(WebAddress));
    v.key("server.trusted_proxies", &mut server.trusted_proxies, Networks);
    v.key("server.workers", &mut server.workers, Optional(whole(1, 1_024)));
    v.key(
        "server.max_connections",
        &mut server.max_connections,
        whole(1, 1_000_000),
    );
    v.key(
        "server.requests_per_minute",
        &mut server.requests_per_minute,
        Optional(whole(1, 1_000_000)),
    );
    v.key(
        "server.allow_unauthenticated",
        &mut server.allow_unauthenticated,
        Switch,
    );
}

fn visit_webhook(webhook: &mut Webhook, v: &mut impl Visitor) {
    v.key(
        "webhook.public_url",
        &mut webhook.public_url,
        Optional(WebAddress),
    );
    v.key("webhook.secret", &mut webhook.secret, Optional(PHRASE));
    v.key(
        "webhook.previous_secret",
        &mut webhook.previous_secret,
        Optional(PHRASE),
    );
    v.key(
        "webhook.previous_secret_until",
        &mut webhook.previous_secret_until,
        Optional(Moment),
    );
    v.key(
        "webhook.verification_token",
        &mut webhook.verification_token,
        Optional(PHRASE),
    );
    v.key("webhook.allowed_ips", &mut webhook.allowed_ips, Networks);
    v.key("webhook.ssl_enabled", &mut webhook.ssl_enabled, Switch);
}

fn visit_upstream(section: &str, upstream: &mut Upstream, v: &mut impl Visitor) {
    let path = |key: &str| format!("{section}.{key}");
    v.key(&path("kind"), &mut upstream.kind, OneOf::new());
    v.key(&path("base_url"), &mut upstream.base_url, Optional(WebAddress));
    v.key(&path("dialect"), &mut upstream.dialect, Optional(OneOf::new()));
    v.key(&path("timeout_seconds"), &mut upstream.timeout, seconds(HOUR));
    v.key(
        &path("webhook_secret"),
        &mut upstream.webhook_secret,
        Optional(PHRASE),
    );
}

fn visit_account(section: &str, account: &mut Account, v: &mut impl Visitor) {
    let path = |key: &str| format!("{section}.{key}");
    visit_upstream(section, &mut account.upstream, v);
    v.key(&path("key"), &mut account.key, Optional(KEY));
    v.key(&path("slots"), &mut account.slots, Optional(whole(1, 10_000)));
    v.key(&path("queue"), &mut account.queue, Optional(whole(0, 1_000_000)));
    v.key(
        &path("per_minute"),
        &mut account.per_minute,
        Optional(whole(1, 1_000_000)),
    );
    v.key(&path("speeds"), &mut account.speeds, Speeds);
    v.key(
        &path("fall_back_to_relax"),
        &mut account.fall_back_to_relax,
        Switch,
    );
    let prices = &mut account.prices;
    v.key(&path("cost"), &mut prices.drawing, Amount);
    v.key(&path("cost_upscale"), &mut prices.upscale, Optional(Amount));
    v.key(&path("cost_video"), &mut prices.video, Optional(Amount));
    v.key(&path("cost_text"), &mut prices.text, Optional(Amount));
    v.key(&path("cost_relax"), &mut prices.relax, Optional(Amount));
    visit_budget(section, &mut account.budget, v);
    v.key(&path("weight"), &mut account.weight, whole(1, 1_000));
    v.key(&path("priority"), &mut account.priority, whole(0, 1_000));
    v.key(&path("proxy"), &mut account.proxy, Optional(ProxyAddress));
}

fn visit_budget(section: &str, budget: &mut Budget, v: &mut impl Visitor) {
    let path = |key: &str| format!("{section}.{key}");
    v.key(&path("budget_day"), &mut budget.day, Optional(Amount));
    v.key(&path("budget_month"), &mut budget.month, Optional(Amount));
}

/// The section whose sections are named by the operator.
pub(super) const ACCOUNTS: &str = "accounts";

/// The paths of all keys of `config`, which has the accounts that the file names, in the order of the table.
pub(super) fn paths(config: &Config) -> Vec<String> {
    struct Paths(Vec<String>);
    impl Visitor for Paths {
        fn key<T: Clone>(&mut self, path: &str, _: &mut T, _: impl Kind<T>) {
            self.0.push(path.to_owned());
        }
    }
    let mut paths = Paths(Vec::new());
    visit(&mut config.clone(), &mut paths);
    paths.0
}
