//! Several accounts, each in a section that the operator names.

use super::*;
use crate::budget::Credits;
use crate::prompt::Speed;
use secrecy::ExposeSecret;
use serde_json::json;

const POOL: &str = "\
accounts:
  main: { kind: legnext, slots: 3, queue: 10, weight: 2 }
  spare-2:
    kind: midjourney-proxy
    base_url: https://mj.example.org
    dialect: plus
    priority: 1
    proxy: http://p.example.org:3128
pool:
  strategy: priority
outbound:
  proxy: http://common.example.org:8080
";

#[test]
fn accounts_are_read_under_their_names() {
    let key = [("MIDJOURNEY__ACCOUNTS__SPARE_2__KEY", "sk-spare")];
    let config = load(POOL, &key).unwrap();
    assert_eq!(config.pool.strategy, PoolStrategy::Priority);
    let accounts = config.working_accounts();
    let names: Vec<_> = accounts.keys().map(String::as_str).collect();
    assert_eq!(names, ["main", "spare-2"]);
    let (main, spare) = (&accounts["main"], &accounts["spare-2"]);
    assert_eq!(main.upstream.kind, UpstreamKind::LegNext);
    assert_eq!(
        (main.slots, main.queue, main.weight, main.priority),
        (Some(3), Some(10), 2, 0)
    );
    assert!(main.key.is_none());
    let proxy = |account: &Account| account.proxy.as_ref().unwrap().to_string();
    assert_eq!(proxy(main), "http://common.example.org:8080");
    assert_eq!(proxy(spare), "http://p.example.org:3128");
    assert_eq!(spare.key.as_ref().unwrap().expose_secret(), "sk-spare");
    assert_eq!((spare.priority, spare.slots), (1, None));
    assert!(!config.is_simulated());
    assert_eq!(entry(&config, "accounts.main.slots").value, json!(3));
    assert_eq!(entry(&config, "accounts.spare-2.key").value, json!("set"));
}

#[test]
fn one_account_is_the_upstream_with_the_key_of_the_api() {
    let config = load("upstream:\n  kind: ttapi\n", &[("MIDJOURNEY_API_KEY", "sk-1")]).unwrap();
    let accounts = config.working_accounts();
    let only = &accounts["ttapi"];
    assert_eq!(accounts.len(), 1);
    assert_eq!(only.key.as_ref().unwrap().expose_secret(), "sk-1");
    assert!(Config::default().is_simulated());
}

#[test]
fn a_wrong_account_is_told_by_its_key() {
    let text = "\
accounts:
  Main: { kind: legnext }
  a: { kind: legnex }
  b: { kind: midjourney-proxy }
  c: { kind: ttapi, slots: 0, speed: fast }
  d: 7
";
    let told: Vec<_> = issues(text).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "midjourney.yaml:2:3: accounts.Main: this is no name for an account; expected a name of 1 to 64 small \
             letters, digits or `-`",
            "midjourney.yaml:3:14: accounts.a.kind: `legnex` is none of the choices; expected `simulator`, \
             `midjourney-proxy`, `acedata`, `apiframe`, `evolink`, `legnext`, `ttapi` or `youchuan` (did you mean \
             `legnext`?)",
            "midjourney.yaml:4:14: accounts.b.base_url: missing although accounts.b.kind is `midjourney-proxy`; \
             expected the address of the gateway, such as https://example.com/mj",
            "midjourney.yaml:5:28: accounts.c.slots: `0` is out of range; expected a whole number from 1 to 10000",
            "midjourney.yaml:5:31: accounts.c.speed: unknown key; expected one of kind, base_url, dialect, \
             timeout_seconds, webhook_secret, key, slots, queue, per_minute, speeds, fall_back_to_relax, cost, cost_upscale, \
             cost_video, cost_text, cost_relax, budget_day, budget_month, weight, priority, proxy (did you mean \
             `speeds`?)",
            "midjourney.yaml:6:6: accounts.d: a single value, not a section; expected the keys kind, base_url, \
             dialect, timeout_seconds, webhook_secret, key, slots, queue, per_minute, speeds, fall_back_to_relax, cost, cost_upscale, \
             cost_video, cost_text, cost_relax, budget_day, budget_month, weight, priority, proxy",
        ]
    );
}

#[test]
fn prices_budgets_and_speeds_are_read() {
    let text = "\
accounts:
  a: { kind: legnext, cost: 1.5, cost_video: 8, budget_day: 100, speeds: \"relax, fast\", fall_back_to_relax: true }
clients:
  budget_month: 0.25
";
    let config = load(text, &[]).unwrap();
    let account = &config.accounts["a"];
    let credits = |text: &str| text.parse::<Credits>().unwrap();
    assert_eq!(account.prices.drawing, credits("1.5"));
    assert_eq!(
        (account.prices.video, account.prices.upscale),
        (Some(credits("8")), None)
    );
    assert_eq!(
        (account.budget.day, account.budget.month),
        (Some(credits("100")), None)
    );
    assert_eq!(account.speeds, [Speed::Fast, Speed::Relax]);
    assert!(account.fall_back_to_relax);
    assert_eq!(config.clients.budget.month, Some(credits("0.25")));
    assert_eq!(entry(&config, "accounts.a.cost").value, json!(1.5));
    assert_eq!(entry(&config, "accounts.a.speeds").value, json!("fast, relax"));

    let wrong = "accounts:\n  a: { kind: legnext, cost: -1, budget_day: \"5\", speeds: warp }\n";
    let told: Vec<_> = issues(wrong).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "midjourney.yaml:2:29: accounts.a.cost: `-1` is no such number; expected a number such as 8 or 0.25",
            "midjourney.yaml:2:45: accounts.a.budget_day: a text in quotes, not a number; expected a number such as 8 \
             or 0.25 (write `5` without quotes)",
            "midjourney.yaml:2:58: accounts.a.speeds: `warp` is no speed; expected one or more of fast, relax and \
             turbo, such as `fast, relax`",
        ]
    );
}

#[test]
fn keys_of_a_single_account_have_no_place_beside_several() {
    let text = "upstream:\n  kind: ttapi\naccounts:\n  a: { kind: legnext, key: sk-in-the-file }\n";
    let error = load(text, &[("MIDJOURNEY_API_KEY", "sk-1")]).unwrap_err();
    let paths: Vec<_> = error.issues().iter().map(|issue| issue.path.as_str()).collect();
    assert_eq!(paths, ["upstream.kind", "api.midjourney_key"]);

    let config = load("accounts:\n  a: { kind: legnext, key: sk-in-the-file }\n", &[]).unwrap();
    assert_eq!(warned(&config), ["accounts.a.key"]);
    assert!(!format!("{config:?} {:?}", config.warnings()).contains("sk-in-the-file"));
}

#[test]
fn a_variable_of_an_account_that_is_not_in_the_file_is_no_key() {
    let error = load(POOL, &[("MIDJOURNEY__ACCOUNTS__MIAN__SLOTS", "2")]).unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("did you mean MIDJOURNEY__ACCOUNTS__MAIN__SLOTS?"),
        "{told}"
    );
}
