//! Prompts that passed, and the jobs they make.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::diagnostic::Diagnostics;
use super::params::Params;
use super::parse::Prompt;
use super::render::{RenderPlan, Rendered, render};
use super::value::Aspect;

/// A prompt without errors. Only [`Report::into_valid`](super::Report::into_valid) makes one.
#[derive(Debug, Clone)]
pub struct ValidPrompt {
    pub(super) prompt: Prompt,
    pub(super) canonical: String,
    pub(super) diagnostics: Diagnostics,
    pub(super) variants: Vec<ExpandedPrompt>,
    pub(super) jobs: u64,
}

/// A prompt makes more jobs than the caller wants to pay for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the prompt makes {jobs} jobs, at most {limit} are allowed")]
#[non_exhaustive]
pub struct TooMany {
    /// How many it makes.
    pub jobs: u64,
    /// How many were allowed.
    pub limit: u64,
}

impl ValidPrompt {
    /// As it was written.
    pub fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// The one writing that stands for all its writings: see [`Prompt::canonical`].
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The warnings it passed with.
    pub fn warnings(&self) -> &[super::Diagnostic] {
        self.diagnostics.warnings()
    }

    /// How many jobs it makes.
    pub fn jobs(&self) -> u64 {
        self.jobs
    }

    /// One prompt for each job: permutations are chosen, repeats are told apart by their index.
    ///
    /// # Errors
    /// When there are more than `limit`.
    pub fn expand(&self, limit: u64) -> Result<Vec<ExpandedPrompt>, TooMany> {
        if self.jobs > limit {
            return Err(TooMany {
                jobs: self.jobs,
                limit,
            });
        }
        let mut jobs = Vec::new();
        for variant in &self.variants {
            for repeat in 0..variant.repeats {
                jobs.push(ExpandedPrompt {
                    index: jobs.len(),
                    repeat,
                    ..variant.clone()
                });
            }
        }
        Ok(jobs)
    }
}

/// The prompt of one job: canonical, without permutations and without `--r`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExpandedPrompt {
    /// Its number among the jobs of its prompt.
    pub index: usize,
    /// Which choice of permutations it is.
    pub variant: usize,
    /// Which repeat of that choice.
    pub repeat: u32,
    #[serde(skip)]
    pub(super) repeats: u32,
    pub(super) text: String,
    pub(super) body: String,
    pub(super) images: Vec<String>,
    pub(super) params: Params,
    pub(super) version: String,
}

impl ExpandedPrompt {
    /// All of it, as Midjourney reads it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Only what stands between images and parameters, weights included.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The image prompts.
    pub fn image_urls(&self) -> &[String] {
        &self.images
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Its shape: `--ar`, or square.
    pub fn aspect(&self) -> Aspect {
        self.params.aspect().unwrap_or(Aspect::SQUARE)
    }

    /// The version it runs on, by its id in the table: `8.2`, `niji 7`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// As an upstream wants it.
    pub fn render(&self, plan: &RenderPlan) -> Rendered {
        render(&self.images, &self.body, &self.params, plan)
    }

    /// All parameters by full name.
    pub fn fields(&self) -> Map<String, Json> {
        Map::from(&self.params)
    }
}
