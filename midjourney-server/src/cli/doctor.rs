//! `doctor`: checks what can be checked without spending anything, and says what to do.

use std::{path::Path, process::ExitCode};

use midjourney_core::{
    clock::{Clock as _, SystemClock, Timestamp},
    config::{self, Account, Config, Entry, Origin, UpstreamKind},
    error::Chain,
};
use midjourney_storage::assemble;
use serde::Serialize;

use super::{
    context::Context,
    output::{Failure, say, say_json},
};

/// Earlier than any release of this program: a clock before it is wrong.
const BUILT: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// What to do about a database that is damaged.
const RESTORE: &str = "stop all processes that use it and restore a backup";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// What one check found.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    /// Whose check it is, where every account has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    verdict: Verdict,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self {
            check,
            account: None,
            verdict: Verdict::Ok,
            detail: detail.into(),
            mend: None,
        }
    }

    fn warn(check: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            check,
            account: None,
            verdict: Verdict::Warn,
            detail: detail.into(),
            mend: Some(mend.into()),
        }
    }

    fn fail(check: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            check,
            account: None,
            verdict: Verdict::Fail,
            detail: detail.into(),
            mend: Some(mend.into()),
        }
    }

    /// The same, about one account.
    fn of(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }
}

pub(super) async fn run(context: &Context) -> Result<ExitCode, Failure> {
    let mut findings = vec![configuration(context), clock()];
    findings.extend(keys(context));
    findings.extend(permissions(&context.settings.data_dir));
    findings.extend(stores(context).await);
    findings.extend(upstreams(context).await);
    findings.push(address(context).await);
    if context.json {
        say_json(&serde_json::json!({ "findings": findings }))?;
    } else {
        for finding in &findings {
            let mark = match finding.verdict {
                Verdict::Ok => "ok  ",
                Verdict::Warn => "warn",
                Verdict::Fail => "FAIL",
            };
            let whose = finding.account.as_ref().map(|account| format!("{account}: "));
            let (whose, detail) = (whose.unwrap_or_default(), &finding.detail);
            say(format_args!("{mark}  {:<13}  {whose}{detail}", finding.check));
            if let Some(mend) = &finding.mend {
                say(format_args!("{:21}-> {mend}", ""));
            }
        }
    }
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn configuration(context: &Context) -> Finding {
    let from = context
        .settings
        .file
        .as_deref()
        .unwrap_or("defaults, no file found");
    match context.settings.config.warnings() {
        [] => Finding::ok("configuration", from),
        warnings => Finding::warn(
            "configuration",
            format!("{from}: {} warning(s)", warnings.len()),
            "see the warnings above",
        ),
    }
}

fn clock() -> Finding {
    let now = SystemClock.now();
    if now < BUILT {
        return Finding::fail(
            "clock",
            format!("it is set to {now}"),
            "set the clock, for example with NTP",
        );
    }
    Finding::ok("clock", now.to_string())
}

/// One finding for each account.
fn keys(context: &Context) -> Vec<Finding> {
    let config = &context.settings.config;
    let accounts = config.working_accounts();
    accounts
        .iter()
        .map(|(name, account)| key(name, account, config).of(name))
        .collect()
}

fn key(name: &str, account: &Account, config: &Config) -> Finding {
    if account.upstream.kind == UpstreamKind::Simulator {
        return Finding::ok("key", "not needed: the simulated upstream spends nothing");
    }
    let (path, variable) = if config.accounts.is_empty() {
        ("api.midjourney_key".to_owned(), "MIDJOURNEY_API_KEY".to_owned())
    } else {
        let path = format!("accounts.{name}.key");
        let variable = config::variable(&path);
        (path, variable)
    };
    let in_file = |entry: &Entry| entry.path == path && matches!(entry.origin, Origin::File { .. });
    match &account.key {
        None => Finding::warn(
            "key",
            "not set; only an open gateway works without one",
            format!("set {variable}"),
        ),
        Some(_) if config.entries().iter().any(in_file) => Finding::warn(
            "key",
            "set, in clear text in the configuration file",
            format!("put it into {variable} and remove it from the file"),
        ),
        Some(_) => Finding::ok("key", "set, from the environment"),
    }
}

/// Whether others can read the data.
#[cfg(unix)]
fn permissions(folder: &Path) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = std::fs::metadata(folder).ok()?.permissions().mode() & 0o777;
    if mode.trailing_zeros() >= 6 {
        return Some(Finding::ok(
            "permissions",
            format!("{} is private", folder.display()),
        ));
    }
    Some(Finding::warn(
        "permissions",
        format!("{} can be read by others (mode {mode:o})", folder.display()),
        format!("chmod 700 {}", folder.display()),
    ))
}

#[cfg(not(unix))]
fn permissions(_folder: &Path) -> Option<Finding> {
    None
}

async fn stores(context: &Context) -> Vec<Finding> {
    let assembled = match assemble(&context.settings.config, &context.settings.data_dir).await {
        Ok(assembled) => assembled,
        Err(error) => {
            return vec![Finding::fail(
                "storage",
                Chain(&error).to_string(),
                "mend that, then run doctor again",
            )];
        }
    };
    let database = &assembled.database;
    let mut findings = vec![match database.integrity_check().await {
        Ok(faults) if faults.is_empty() => Finding::ok("database", database.to_string()),
        Ok(faults) => Finding::fail("database", format!("{database}: {}", faults.join("; ")), RESTORE),
        Err(error) => Finding::fail("database", format!("{database}: {}", Chain(&error)), RESTORE),
    }];
    findings.push(match assembled.gateway.ready().await {
        Ok(()) => Finding::ok(
            "writing",
            match &assembled.images {
                Some(folder) => format!("jobs and {} can be written to", folder.display()),
                None => format!(
                    "jobs and the {} bucket can be written to",
                    context.settings.config.storage.kind
                ),
            },
        ),
        Err(error) => Finding::fail(
            "writing",
            Chain(&error).to_string(),
            "free space or mend the folder's permissions",
        ),
    });
    if let Ok(counts) = assembled.gateway.counts().await {
        findings.push(Finding::ok(
            "jobs",
            format!(
                "{} waiting, {} under way, {} completed",
                counts.pending, counts.processing, counts.completed
            ),
        ));
    }
    if let Ok(accounts) = assembled.gateway.accounts().await {
        let strays = accounts.iter().filter(|account| account.upstream.is_none());
        findings.extend(strays.map(|account| {
            let jobs = account.pending.saturating_add(account.running);
            let detail = format!("{jobs} of its jobs are not over, and nobody works on them");
            Finding::warn(
                "accounts",
                detail,
                "configure the account again, or cancel the jobs",
            )
            .of(&account.name)
        }));
    }
    findings
}

/// Whether each upstream's host takes connections. Asks nothing, so spends nothing.
async fn upstreams(context: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, account) in context.settings.config.working_accounts() {
        findings.push(upstream(&account).await.of(&name));
    }
    findings
}

async fn upstream(account: &Account) -> Finding {
    let Some(url) = assemble::base_url(account) else {
        return Finding::ok("upstream", format!("{}: in this process", account.upstream.kind));
    };
    let host = url.host_str().unwrap_or_default().to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let connect = tokio::net::TcpStream::connect((host.trim_matches(['[', ']']), port));
    let mend = "check its base_url, the network and the firewall";
    match tokio::time::timeout(std::time::Duration::from_secs(5), connect).await {
        Ok(Ok(_)) => Finding::ok("upstream", format!("{host}:{port} takes connections")),
        Ok(Err(error)) => Finding::fail("upstream", format!("{host}:{port}: {error}"), mend),
        Err(_) => Finding::fail(
            "upstream",
            format!("{host}:{port} did not answer within 5 s"),
            mend,
        ),
    }
}

async fn address(context: &Context) -> Finding {
    let server = &context.settings.config.server;
    if !server.is_loopback() && !server.allow_unauthenticated {
        return Finding::warn(
            "address",
            format!(
                "`serve` would refuse to listen on {}: no credential protects it",
                server.host
            ),
            "set server.host to 127.0.0.1, or server.allow_unauthenticated to true behind a proxy that asks for one",
        );
    }
    match tokio::net::TcpListener::bind((server.host.as_str(), server.port)).await {
        Ok(_) => Finding::ok("address", format!("{}:{} is free", server.host, server.port)),
        Err(error) => Finding::warn(
            "address",
            format!("{}:{}: {error}", server.host, server.port),
            "stop what listens there, or choose another server.port",
        ),
    }
}
