//! The arguments of `imagine` that stand for Midjourney's parameters. Here they are only held to their form, so that none
//! can carry another into the prompt; what each may be on which version is for the prompt's own rules to say.

use serde_json::{Map, Value, json};

use super::reader::Reader;

/// What an argument looks like.
enum Form {
    /// A whole number.
    Whole(u64, u64),
    /// A number.
    Number(f64, f64),
    /// Given or not.
    Switch,
    /// A text, and what it is.
    Text(&'static str),
    /// The parameter itself is one of these words.
    Words(&'static [&'static str]),
}

/// Every such argument, by the parameter's full name.
const FLAGS: &[(&str, Form)] = &[
    ("aspect", Form::Text("Such as 3:2.")),
    ("stylize", Form::Whole(0, 1_000)),
    ("chaos", Form::Whole(0, 100)),
    ("weird", Form::Whole(0, 3_000)),
    ("no", Form::Text("What to avoid, with commas.")),
    ("seed", Form::Whole(0, 4_294_967_295)),
    ("quality", Form::Number(0.5, 4.0)),
    ("raw", Form::Switch),
    ("tile", Form::Switch),
    ("draft", Form::Switch),
    ("hd", Form::Switch),
    ("exp", Form::Whole(0, 100)),
    ("iw", Form::Number(0.0, 3.0)),
    ("sref", Form::Text("Style reference: links or codes.")),
    ("sw", Form::Whole(0, 1_000)),
    ("oref", Form::Text("Omni reference: a link.")),
    ("ow", Form::Whole(1, 1_000)),
    ("profile", Form::Text("Codes.")),
    ("speed", Form::Words(&["fast", "relax", "turbo"])),
];

/// The longest text of an argument.
const MAX_TEXT: usize = 2_000;

/// Whether an argument of `imagine` becomes part of the prompt.
pub(crate) fn is_flag(name: &str) -> bool {
    FLAGS.iter().any(|(flag, _)| *flag == name)
}

/// The schemas of these arguments.
pub(super) fn schemas() -> Map<String, Value> {
    let schema = |form: &Form| match form {
        Form::Whole(from, to) => json!({"type": "integer", "minimum": from, "maximum": to}),
        Form::Number(from, to) => json!({"type": "number", "minimum": from, "maximum": to}),
        Form::Switch => json!({"type": "boolean"}),
        Form::Text(about) => json!({"type": "string", "description": about}),
        Form::Words(words) => json!({"type": "string", "enum": words}),
    };
    FLAGS
        .iter()
        .map(|(name, form)| ((*name).to_owned(), schema(form)))
        .collect()
}

/// What was given of them, as it stands behind a prompt.
pub(super) fn read(read: &mut Reader<'_>) -> String {
    let mut text = String::new();
    for (name, form) in FLAGS {
        let parameter = match form {
            Form::Whole(from, to) => read
                .whole(name, *from..=*to)
                .map(|number| format!("{name} {number}")),
            Form::Number(from, to) => read
                .number(name, *from..=*to)
                .map(|number| format!("{name} {number}")),
            Form::Switch => read.switch(name).filter(|on| *on).map(|_| (*name).to_owned()),
            Form::Text(_) => read
                .flag_text(name, MAX_TEXT)
                .map(|value| format!("{name} {value}")),
            Form::Words(words) => {
                let words: Vec<_> = words.iter().map(|word| (*word, *word)).collect();
                read.choice(name, &words).map(str::to_owned)
            }
        };
        if let Some(parameter) = parameter {
            text.push_str(" --");
            text.push_str(&parameter);
        }
    }
    text
}
