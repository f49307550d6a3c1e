//! One way to read a template.

use super::{Span, slice};

#[derive(Debug, Clone)]
struct Segment {
    at: usize,
    from: usize,
    len: usize,
}

/// One way to read a template, and where in the source each byte of it came from.
#[derive(Debug, Clone, Default)]
pub(in crate::prompt) struct Variant {
    pub(in crate::prompt) text: String,
    segments: Vec<Segment>,
}

impl Variant {
    /// A source without groups is its own only variant.
    pub(in crate::prompt) fn whole(source: &str) -> Self {
        let mut variant = Self::default();
        variant.push(source, &(0..source.len()));
        variant
    }

    pub(super) fn push(&mut self, source: &str, span: &Span) {
        let text = slice(source, span);
        self.segments.push(Segment {
            at: self.text.len(),
            from: span.start,
            len: text.len(),
        });
        self.text.push_str(text);
    }

    fn locate(&self, at: usize, end: bool) -> usize {
        let after = self
            .segments
            .partition_point(|segment| if end { segment.at < at } else { segment.at <= at });
        let segment = after
            .checked_sub(1)
            .and_then(|index| self.segments.get(index))
            .or(self.segments.first());
        segment.map_or(0, |segment| {
            segment.from + at.saturating_sub(segment.at).min(segment.len)
        })
    }

    /// The source bytes behind a span of this variant, and whether they are the very same bytes.
    pub(in crate::prompt) fn to_source(&self, span: &Span) -> (Span, bool) {
        if span.is_empty() {
            let at = self.locate(span.start, true);
            return (at..at, true);
        }
        let (start, end) = (self.locate(span.start, false), self.locate(span.end, true));
        (start..end.max(start), end.checked_sub(start) == Some(span.len()))
    }
}
