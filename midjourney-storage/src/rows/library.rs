//! How pictures are filed and found: terms in the forms that databases take them in, and pages of what was found.

use std::collections::BTreeSet;

use midjourney_core::{
    image::Image,
    job::{ImageSearch, Shelf, Sought, StoreError, Term},
    page::Page,
};

use super::RawImage;

/// Terms as one text: none of them has a space.
pub(crate) fn joined(terms: &BTreeSet<Term>) -> String {
    let terms: Vec<_> = terms.iter().map(Term::as_str).collect();
    terms.join(" ")
}

/// What is sought, in the language of SQLite's FTS5. Terms have no quotes.
#[cfg(feature = "sqlite")]
pub(crate) fn fts5(search: &ImageSearch) -> String {
    expression(search, " AND ", " OR ", |one| match one {
        Sought::Is(term) => format!("\"{term}\""),
        Sought::Begins(term) => format!("\"{term}\"*"),
    })
}

/// What is sought, as PostgreSQL's `tsquery`. Terms have neither quotes nor backslashes.
#[cfg(feature = "postgres")]
pub(crate) fn tsquery(search: &ImageSearch) -> String {
    expression(search, " & ", " | ", |one| match one {
        Sought::Is(term) => format!("'{term}'"),
        Sought::Begins(term) => format!("'{term}':*"),
    })
}

fn expression(search: &ImageSearch, and: &str, or: &str, write: impl Fn(&Sought) -> String) -> String {
    let one_of = |any: &Vec<Sought>| {
        let any: Vec<_> = any.iter().map(&write).collect();
        format!("({})", any.join(or))
    };
    let all: Vec<_> = search.sought().iter().map(one_of).collect();
    all.join(and)
}

/// How many jobs to look at for a page of `limit` pictures: each has one at least that is meant, the first may have been
/// on the page before, and one more tells whether there is another page.
pub(crate) const fn jobs_for(limit: usize) -> usize {
    limit.saturating_add(2)
}

/// A page of `rows`, the pictures of as many jobs as [`jobs_for`] says or all there are, each with its job's row; those of
/// the last job first.
pub(crate) fn page(
    rows: Vec<(i64, RawImage)>,
    search: &ImageSearch,
    limit: usize,
) -> Result<Page<Image>, StoreError> {
    let behind = search.after.map(Shelf::behind);
    let mut jobs = BTreeSet::new();
    let mut found = Vec::new();
    for (job, row) in rows {
        let job = u64::try_from(job).unwrap_or_default();
        jobs.insert(job);
        let image = row.decode()?;
        let shelf = Shelf::of(job, &image);
        if search.takes(&image) && behind.is_none_or(|behind| shelf.comes_after(behind)) {
            found.push((shelf, image));
        }
    }
    let next = if found.len() > limit {
        found.truncate(limit);
        found.last().map(|(shelf, _)| shelf.cursor())
    } else {
        // Two things that were said may hold for two pictures of a job and for neither of them alone.
        let last = jobs.first().filter(|_| jobs.len() >= jobs_for(limit));
        last.map(|job| {
            let image = u64::MAX;
            Shelf { job: *job, image }.cursor()
        })
    };
    Ok(Page::new(
        found.into_iter().map(|(_, image)| image).collect(),
        next,
    ))
}
