//! `accounts`: what each has to do and what was spent on it. How an account is doing only a process that works for it
//! knows: a running server tells under `GET /accounts`.

use std::process::ExitCode;

use midjourney_core::gateway::AccountView;

use super::{
    context::Context,
    output::{Failure, say, say_json},
};

pub(super) async fn run(context: &Context) -> Result<ExitCode, Failure> {
    let accounts = context.gateway().await?.accounts().await?;
    if context.json {
        say_json(&accounts)?;
    } else {
        for account in &accounts {
            say(line(account));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(account: &AccountView) -> String {
    let upstream = account
        .upstream
        .unwrap_or("not configured: nobody works on its jobs");
    let slots = account.slots.map(|slots| format!(" of {slots}"));
    format!(
        "{:<24} {upstream}; {} waiting, {}{} running; {} spent today, {} this month",
        account.name,
        account.pending,
        account.running,
        slots.unwrap_or_default(),
        account.spent.day,
        account.spent.month,
    )
}
