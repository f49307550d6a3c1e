//! Tests of the whole configuration, through its public face.

use super::*;

mod accounts;
mod bad;
mod environment;
mod hostile;
mod reading;

/// The file of the requirements, with one of the choices for `key_source`.
fn documented(key_source: &str) -> String {
    format!(
        r#"api:
  midjourney_key: "encrypted_key_here"
  key_source: "{key_source}"
server:
  host: "0.0.0.0"
  port: 8000
  workers: 4
storage:
  type: "local"
  path: "./images"
  retention_days: 30
discord_automation:
  enabled: false
  credentials_stored: false
webhook:
  public_url: "https://your-domain.com/webhook/midjourney"
  secret: "webhook_secret_key"
  verification_token: "verification_token"
  ssl_enabled: true
"#
    )
}

/// The paths of all keys of a file without accounts.
fn paths() -> Vec<String> {
    schema::paths(&Config::default())
}

fn issues(text: &str) -> Vec<ConfigIssue> {
    match Config::from_yaml(text) {
        Ok(_) => panic!("accepted: {text:?}"),
        Err(error) => error.issues().to_vec(),
    }
}

fn load(text: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let file = Source::new("midjourney.yaml", text);
    Config::load(Some(&file), &Environment::from_pairs(pairs.iter().copied()))
}

fn entry(config: &Config, path: &str) -> Entry {
    let found = config.entries().into_iter().find(|entry| entry.path == path);
    found.unwrap_or_else(|| panic!("no entry {path}"))
}

fn line(origin: &Origin) -> Option<u32> {
    match origin {
        Origin::File { line, .. } => Some(*line),
        _ => None,
    }
}

fn warned(config: &Config) -> Vec<&str> {
    config
        .warnings()
        .iter()
        .map(|warning| warning.path.as_str())
        .collect()
}
