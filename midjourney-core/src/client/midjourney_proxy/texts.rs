//! The texts of tasks that give texts: descriptions of a picture, shorter prompts.
//!
//! They come as one text (`properties.finalPrompt`): items that begin with a keycap digit, apart from each other by a
//! blank line; a shorten has two headed parts before and around them ("Task object and task routes" of the wire facts).

use super::wire::Task;
use crate::client::http::mask;

/// How many texts are kept of a task.
const MAX_TEXTS: usize = 16;

/// The longest of them, in bytes. Prompts of 8,192 characters are known.
const MAX_TEXT: usize = 16_384;

/// The texts of a finished task; `None` where it is of a kind that gives pictures.
pub(super) fn of(task: &Task, secrets: &[&str]) -> Option<Vec<String>> {
    let properties = &task.properties.0;
    let whole = match properties.final_prompt.as_str() {
        "" => properties.final_zh_prompt.as_str(),
        text => text,
    };
    let part = match task.action.as_str().to_ascii_uppercase().as_str() {
        "DESCRIBE" => whole,
        "SHORTEN" => shortened(whole),
        _ => return None,
    };
    let texts = items(part).into_iter().map(|item| cut(&mask(&item, secrets)));
    Some(texts.filter(|text| !text.is_empty()).take(MAX_TEXTS).collect())
}

/// The part of a shorten that holds the prompts; all of it where there are no headings.
fn shortened(whole: &str) -> &str {
    // Lower case keeps every byte in its place where only ASCII changes.
    let lower = whole.to_ascii_lowercase();
    let heading = "shortened prompts";
    let Some(start) = lower.find(heading).map(|at| at + heading.len()) else {
        return whole;
    };
    let rest = lower.get(start..).unwrap_or_default();
    let end = rest.find("important tokens").map_or(whole.len(), |at| start + at);
    whole.get(start..end).unwrap_or_default()
}

/// The numbered items of a text. Without numbers, what blank lines keep apart.
fn items(text: &str) -> Vec<String> {
    let numbered = text.lines().any(|line| unnumbered(line).is_some());
    let mut items: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() {
            open = false;
        } else if let Some(rest) = unnumbered(line) {
            items.push(rest.to_owned());
            open = true;
        } else if open {
            if let Some(item) = items.last_mut() {
                item.push(' ');
                item.push_str(line);
            }
        } else if !numbered && line.contains(char::is_alphanumeric) {
            items.push(line.to_owned());
            open = true;
        }
    }
    items
}

/// What follows the keycap digit at the beginning of a line.
fn unnumbered(line: &str) -> Option<&str> {
    let line = line.trim_start();
    if let Some(rest) = line.strip_prefix('\u{1f51f}') {
        return Some(rest.trim_start());
    }
    let rest = line.strip_prefix(|c: char| c.is_ascii_digit())?;
    let rest = rest.strip_prefix('\u{fe0f}').unwrap_or(rest);
    rest.strip_prefix('\u{20e3}').map(str::trim_start)
}

fn cut(text: &str) -> String {
    let mut kept = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if kept.len() + c.len_utf8() > MAX_TEXT {
            break;
        }
        kept.push(c);
    }
    kept.truncate(kept.trim_end().len());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::http::{Loose, Text};

    fn texts(action: &str, prompt: &str) -> Option<Vec<String>> {
        let mut task = Task {
            action: Text(action.to_owned()),
            ..Task::default()
        };
        let Loose(properties) = &mut task.properties;
        properties.final_prompt = Text(prompt.to_owned());
        of(&task, &["canary"])
    }

    #[test]
    fn descriptions_are_split_into_items() {
        for (prompt, expected) in [
            (
                "1️⃣ a red fox --ar 3:2\n\n2️⃣ a fox, canary\n\n3️⃣ x\n\n4️⃣ y",
                vec!["a red fox --ar 3:2", "a fox, ***", "x", "y"],
            ),
            ("1️⃣ a\r\n\r\n2️⃣ b", vec!["a", "b"]),
            ("1️⃣ a\n2️⃣ b\nand more\n\nnot this", vec!["a", "b and more"]),
            ("1\u{20e3} bare", vec!["bare"]),
            ("🔟 tenth", vec!["tenth"]),
            ("one\n\ntwo\nlines", vec!["one", "two lines"]),
            ("1 fox in the snow", vec!["1 fox in the snow"]),
            ("1️⃣ \u{7}\n\n2️⃣ b", vec!["b"]),
            ("", vec![]),
            ("\n\n**\n", vec![]),
        ] {
            assert_eq!(texts("DESCRIBE", prompt).unwrap(), expected, "{prompt:?}");
        }
    }

    #[test]
    fn of_a_shorten_only_the_prompts_are_kept() {
        let tokens = "## Important tokens\n**fox** (1.00), red (0.4)";
        let prompts = "## Shortened prompts\n1️⃣ red fox\n\n2️⃣ fox";
        for whole in [
            format!("{tokens}\n\n{prompts}"),
            format!("{prompts}\n\n{tokens}"),
            prompts.to_ascii_uppercase().to_ascii_lowercase(),
            "1️⃣ red fox\n\n2️⃣ fox".to_owned(),
        ] {
            assert_eq!(texts("shorten", &whole).unwrap(), ["red fox", "fox"], "{whole}");
        }
    }

    #[test]
    fn tasks_that_give_pictures_give_no_texts() {
        for action in ["IMAGINE", "UPSCALE", "PIC_READER", ""] {
            assert_eq!(texts(action, "1️⃣ a"), None);
        }
    }

    #[test]
    fn texts_are_bounded() {
        let many = "1️⃣ a\n\n".repeat(1_000);
        assert_eq!(texts("DESCRIBE", &many).unwrap().len(), MAX_TEXTS);
        let long = format!("1️⃣ {}", "é".repeat(MAX_TEXT));
        assert!(texts("DESCRIBE", &long).unwrap()[0].len() <= MAX_TEXT);
    }
}
