//! Permutation groups: which braces pair up, how many variants there are, and what the n-th one reads.
//!
//! Nothing here recurses, so nesting depth costs heap and never stack, and every pass is linear.

mod variant;

use std::ops::Range;

pub(super) use self::variant::Variant;

/// A range of bytes in a text.
pub(super) type Span = Range<usize>;

/// The text under a span; empty when the span does not fit, which the parser never produces.
pub(super) fn slice<'a>(text: &'a str, span: &Span) -> &'a str {
    text.get(span.clone()).unwrap_or_default()
}

/// What separates words: white space, control characters and the byte order mark.
pub(super) fn is_space(c: char) -> bool {
    if c.is_ascii() {
        return c <= ' ' || c == '\u{7f}';
    }
    c.is_whitespace() || c.is_control() || c == '\u{feff}'
}

/// Where the first space is, or else the text ends.
pub(super) fn word_end(text: &str) -> usize {
    // Most words are ASCII: bytes are looked at until there is one that is not.
    let plain = |byte: &u8| byte.is_ascii_graphic();
    let start = text.bytes().take_while(plain).count();
    match text.as_bytes().get(start) {
        Some(byte) if !byte.is_ascii() => {
            let rest = text.get(start..).unwrap_or_default();
            start + rest.find(is_space).unwrap_or(rest.len())
        }
        _ => start,
    }
}

/// A piece of template text. Pieces of a group's items follow its `Open` until the group's `end`.
#[derive(Debug, Clone)]
enum Token {
    /// These bytes, as they stand.
    Text(Span),
    /// A group, by its index.
    Open(usize),
}

#[derive(Debug, Clone)]
struct Item {
    tokens: Range<usize>,
    span: Span,
    count: u64,
}

/// `{a, b}` with its braces in the source.
#[derive(Debug, Clone)]
pub(super) struct Group {
    span: Span,
    items: Vec<Item>,
    end: usize,
    count: u64,
}

impl Group {
    /// Braces included.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Where each item stands, trimmed.
    pub(super) fn items(&self) -> impl Iterator<Item = Span> + '_ {
        self.items.iter().map(|item| item.span.clone())
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }
}

/// A byte of the source that means something to permutations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Open,
    Comma,
    Close,
}

/// A source read for permutations only.
#[derive(Debug, Clone)]
pub(super) struct Template {
    tokens: Vec<Token>,
    groups: Vec<Group>,
    count: u64,
    marks: Vec<(usize, Mark)>,
    unmatched: Vec<usize>,
    outer: Vec<Span>,
    steps: usize,
}

struct Frame {
    group: usize,
    product: u64,
    first_token: usize,
    start: usize,
}

impl Template {
    pub(super) fn parse(source: &str) -> Self {
        // Most prompts have no groups: one look instead of two walks.
        if !source.bytes().any(|byte| matches!(byte, b'{' | b'}')) {
            let mut plain = Builder::new(source, Vec::new(), source.len());
            plain.flush(source.len());
            return plain.out;
        }
        let (pairs, steps) = pair_braces(source);
        Builder::new(source, pairs, steps).run()
    }

    /// How many variants there are, saturating.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Outermost groups in order: opaque to whoever splits the source into words.
    pub(super) fn outer(&self) -> &[Span] {
        &self.outer
    }

    /// Braces that pair with nothing and so are plain text.
    pub(super) fn unmatched(&self) -> &[usize] {
        &self.unmatched
    }

    /// The marks inside a span, in order.
    pub(super) fn marks_in(&self, span: &Span) -> &[(usize, Mark)] {
        let from = self.marks.partition_point(|(at, _)| *at < span.start);
        let to = self.marks.partition_point(|(at, _)| *at < span.end);
        self.marks.get(from..to).unwrap_or_default()
    }

    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// The variant with this number. The first group varies slowest, as Midjourney lists them.
    pub(super) fn variant(&self, source: &str, number: u64) -> Variant {
        struct Walk {
            next: usize,
            end: usize,
            number: u64,
            left: u64,
        }
        let mut variant = Variant::default();
        let mut stack = vec![Walk {
            next: 0,
            end: self.tokens.len(),
            number,
            left: self.count,
        }];
        while let Some(walk) = stack.last_mut() {
            let token = if walk.next < walk.end {
                self.tokens.get(walk.next)
            } else {
                None
            };
            match token {
                None => {
                    stack.pop();
                }
                Some(Token::Text(span)) => {
                    variant.push(source, span);
                    walk.next += 1;
                }
                Some(Token::Open(index)) => {
                    let Some(group) = self.groups.get(*index) else {
                        break;
                    };
                    walk.left = (walk.left / group.count.max(1)).max(1);
                    let mut pick = walk.number / walk.left;
                    walk.number %= walk.left;
                    walk.next = group.end;
                    for item in &group.items {
                        if pick < item.count {
                            let Range { start, end } = item.tokens.clone();
                            stack.push(Walk {
                                next: start,
                                end,
                                number: pick,
                                left: item.count,
                            });
                            break;
                        }
                        pick -= item.count;
                    }
                }
            }
        }
        variant
    }
}

/// Every unescaped opening brace in order, with its partner if it has one.
fn pair_braces(source: &str) -> (Vec<Option<usize>>, usize) {
    let mut pairs: Vec<Option<usize>> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut escaped = false;
    let mut steps = 0;
    for (at, byte) in source.bytes().enumerate() {
        steps += 1;
        match byte {
            b'{' if !escaped => {
                open.push(pairs.len());
                pairs.push(None);
            }
            b'}' if !escaped => {
                if let Some(slot) = open.pop().and_then(|index| pairs.get_mut(index)) {
                    *slot = Some(at);
                }
            }
            _ => {}
        }
        // A backslash that is itself text (`\\{`) still guards the brace after it.
        escaped = byte == b'\\';
    }
    (pairs, steps)
}

struct Builder<'a> {
    source: &'a str,
    pairs: Vec<Option<usize>>,
    opens: usize,
    stack: Vec<Frame>,
    run: usize,
    out: Template,
}

impl<'a> Builder<'a> {
    fn new(source: &'a str, pairs: Vec<Option<usize>>, steps: usize) -> Self {
        let out = Template {
            tokens: Vec::new(),
            groups: Vec::new(),
            count: 1,
            marks: Vec::new(),
            unmatched: Vec::new(),
            outer: Vec::new(),
            steps,
        };
        Self {
            source,
            pairs,
            opens: 0,
            stack: Vec::new(),
            run: 0,
            out,
        }
    }

    fn run(mut self) -> Template {
        let mut escaped = false;
        for (at, byte) in self.source.bytes().enumerate() {
            self.out.steps += 1;
            match byte {
                b'{' if !escaped => self.open(at),
                b'}' if !escaped => self.close(at),
                b',' if !self.stack.is_empty() => {
                    if escaped {
                        // The comma stays, its backslash goes.
                        self.flush(at - 1);
                        self.run = at;
                    } else {
                        self.end_item(at);
                        self.out.marks.push((at, Mark::Comma));
                        self.begin_item(at + 1);
                    }
                }
                _ => {}
            }
            escaped = byte == b'\\';
        }
        self.flush(self.source.len());
        self.out
    }

    fn flush(&mut self, to: usize) {
        if self.run < to {
            self.out.tokens.push(Token::Text(self.run..to));
        }
        self.run = to;
    }

    fn open(&mut self, at: usize) {
        let partner = self.pairs.get(self.opens).copied().flatten();
        self.opens += 1;
        let Some(close) = partner else {
            self.out.unmatched.push(at);
            return;
        };
        self.flush(at);
        let group = self.out.groups.len();
        if self.stack.is_empty() {
            self.out.outer.push(at..close + 1);
        }
        self.out.tokens.push(Token::Open(group));
        self.out.groups.push(Group {
            span: at..close + 1,
            items: Vec::new(),
            end: 0,
            count: 0,
        });
        self.out.marks.push((at, Mark::Open));
        self.stack.push(Frame {
            group,
            product: 1,
            first_token: 0,
            start: at,
        });
        self.begin_item(at + 1);
    }

    fn begin_item(&mut self, from: usize) {
        let rest = self.source.get(from..).unwrap_or_default();
        let trimmed = rest.trim_start_matches(is_space);
        self.out.steps += rest.len() - trimmed.len();
        self.run = from + (rest.len() - trimmed.len());
        if let Some(frame) = self.stack.last_mut() {
            frame.product = 1;
            frame.first_token = self.out.tokens.len();
            frame.start = self.run;
        }
    }

    fn end_item(&mut self, at: usize) {
        // An item of nothing but space was skipped over as a whole.
        let run = self.run.min(at);
        let text = slice(self.source, &(run..at));
        let kept = text.trim_end_matches(is_space).len();
        self.out.steps += text.len() - kept;
        self.run = run;
        self.flush(run + kept);
        let Some(frame) = self.stack.last() else { return };
        let start = frame.start.min(at);
        let item = Item {
            tokens: frame.first_token..self.out.tokens.len(),
            span: start..(run + kept).max(start),
            count: frame.product,
        };
        if let Some(group) = self.out.groups.get_mut(frame.group) {
            group.count = group.count.saturating_add(item.count);
            group.items.push(item);
        }
    }

    fn close(&mut self, at: usize) {
        if self.stack.is_empty() {
            self.out.unmatched.push(at);
            return;
        }
        self.end_item(at);
        self.out.marks.push((at, Mark::Close));
        self.run = at + 1;
        let Some(frame) = self.stack.pop() else { return };
        let tokens = self.out.tokens.len();
        let Some(group) = self.out.groups.get_mut(frame.group) else {
            return;
        };
        group.end = tokens;
        let count = group.count;
        let product = self
            .stack
            .last_mut()
            .map_or(&mut self.out.count, |parent| &mut parent.product);
        *product = product.saturating_mul(count);
    }
}
