//! Takes requests in: checks all that can be checked for free, then makes the jobs durable.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::Gateway;
use crate::{
    accounts::Account,
    budget::Credits,
    client::{MidjourneyClient, ParentTask},
    error::{Error, ErrorKind},
    id::{BatchId, JobId},
    job::{
        AccountName, Action, Echo, FailureKind, IdempotencyKey, InputImage, Insertion, Job, JobRequest,
        NewJob, NewJobs, Overdrawn, Owner, Purse, RequestDigest,
    },
    prompt::{self, CheckOptions, Diagnostic, ExpandedPrompt, Report, Speed, Table},
};

/// When to try again where every account's queue is full.
const FULL: Duration = Duration::from_secs(10);

/// What prompts are held against.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PromptRules {
    /// Versions, parameters and limits.
    pub table: Arc<Table>,
    /// The plan, the most jobs that one request may become, and the version that is put on prompts which name none;
    /// without one, the version is left to the upstream.
    pub options: CheckOptions,
}

impl PromptRules {
    /// The most jobs that one request may become, where nothing else is said.
    pub const DEFAULT_JOBS: u64 = 40;

    /// The rules of `table`, without a plan or a default version, and at most 40 jobs a request.
    pub fn new(table: Table) -> Self {
        Self {
            table: Arc::new(table),
            options: CheckOptions::default().jobs(Self::DEFAULT_JOBS),
        }
    }

    /// The same table, judged with `options`.
    pub fn with_options(mut self, options: CheckOptions) -> Self {
        self.options = options;
        self
    }
}

impl Default for PromptRules {
    /// The built-in table.
    fn default() -> Self {
        Self::new(Table::builtin().clone())
    }
}

/// A request to draw from a prompt.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Imagine {
    /// The prompt, parameters and permutations included.
    pub prompt: String,
    /// A version for prompts that name none, such as `7` or `niji 7`.
    pub version: Option<String>,
    /// Reference images, beside those that the prompt links to.
    pub images: Vec<InputImage>,
    /// Repeating the request under the same key returns the same jobs.
    pub key: Option<IdempotencyKey>,
    /// Whose the jobs are.
    pub owner: Owner,
    /// What the caller wants to get back with each job.
    pub echo: Echo,
    /// The id that the job is to have, where the caller has given it out already and the prompt is one job.
    pub id: Option<JobId>,
}

impl Imagine {
    /// Draw from `prompt`, for the local owner.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self {
            prompt: prompt.into(),
            version: None,
            images: Vec::new(),
            key: None,
            owner: Owner::local(),
            echo: Echo::default(),
            id: None,
        }
    }

    /// The same request under an idempotency key.
    pub fn with_key(mut self, key: Option<IdempotencyKey>) -> Self {
        self.key = key;
        self
    }

    /// The same request with reference images.
    pub fn with_images(mut self, images: Vec<InputImage>) -> Self {
        self.images = images;
        self
    }

    /// The same request with a version for prompts that name none.
    pub fn with_version(mut self, version: Option<String>) -> Self {
        self.version = version;
        self
    }

    /// The same request of a caller that wants this back.
    pub fn with_echo(mut self, echo: Echo) -> Self {
        self.echo = echo;
        self
    }

    /// The same request, with signed [webhooks](crate::delivery) about each job sent to this address.
    pub fn with_webhook(mut self, url: Option<String>) -> Self {
        self.echo.webhook = url;
        self
    }

    /// The same request for a job of this id, which must be new.
    pub const fn with_id(mut self, id: Option<JobId>) -> Self {
        self.id = id;
        self
    }
}

/// Jobs that are on disk.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Accepted {
    /// The jobs, one or more, in the order of the permutations.
    pub jobs: Vec<Job>,
    /// What ties them together, where they are several.
    pub batch: Option<BatchId>,
    /// Whether they are those of an earlier request under the same key.
    pub replayed: bool,
    /// What is doubtful about the prompt.
    pub warnings: Vec<Diagnostic>,
}

/// What is known about a prompt without spending anything.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PromptCheck {
    /// Every diagnostic.
    pub report: Report,
    /// The canonical prompts it would become, in order; empty where there are errors.
    pub jobs: Vec<String>,
}

impl Gateway {
    /// Parses, checks and expands a prompt. Spends nothing, stores nothing.
    ///
    /// **Errors:** [`ErrorKind::Invalid`] for a `version` that the table does not know; mistakes in the prompt are no
    /// error here but in the report.
    pub fn check_prompt(&self, text: &str, version: Option<&str>) -> Result<PromptCheck, Error> {
        let mut options = self.prompts.options.clone();
        if let Some(version) = version {
            if self.prompts.table.version(version).is_none() {
                return Err(unknown_version(&self.prompts.table, version));
            }
            options = options.default_version(version);
        }
        let report = prompt::check(text, &self.prompts.table, &options);
        let version = options.default_version.as_deref();
        // The report has counted the jobs against the limit already.
        let jobs = report
            .expanded()
            .map(|job| with_version(job, &self.prompts.table, version))
            .collect();
        Ok(PromptCheck { report, jobs })
    }

    /// Accepts a prompt: one job for each of its permutations and repeats, all on disk when this returns.
    ///
    /// **Errors:** [`ErrorKind::InvalidPrompt`] with all diagnostics; [`ErrorKind::Rejected`] where the upstream would
    /// refuse it; [`ErrorKind::IdempotencyMismatch`]. Nothing is stored or spent then. **Cancel safety:** the jobs are
    /// stored or not, all of them; use a key to find out.
    pub async fn imagine(&self, request: Imagine) -> Result<Accepted, Error> {
        let PromptCheck { report, jobs, .. } =
            self.check_prompt(&request.prompt, request.version.as_deref())?;
        if !report.is_valid() {
            return Err(Error::prompt(report));
        }
        let requests: Vec<_> = jobs
            .into_iter()
            .map(|prompt| {
                JobRequest::imagine(prompt)
                    .with_images(request.images.clone())
                    .with_echo(request.echo.clone())
            })
            .collect();
        let most = Action::Imagine.needs().images.1;
        if request.images.len() > most {
            return Err(Error::field("/images", format!("expected {most} at most")));
        }
        let mut accepted = self
            .take_in(Intake {
                owner: request.owner,
                requests,
                home: None,
                key: request.key,
                id: request.id,
            })
            .await?;
        accepted.warnings = report.diagnostics().warnings().to_vec();
        Ok(accepted)
    }

    /// Makes jobs of what came in, on an account that takes it. Where no account does, the jobs that an earlier request
    /// under the same key has made are the answer still: they were accepted then.
    pub(super) async fn take_in(&self, intake: Intake) -> Result<Accepted, Error> {
        let mut overdrawn = Vec::new();
        loop {
            let placed = self.place(&intake, &overdrawn).await;
            let account = match (placed, &intake.key) {
                (Ok(account), _) => account,
                (Err(error), None) => return Err(error),
                (Err(error), Some(key)) => {
                    let digest = RequestDigest::of(&intake.requests);
                    let earlier = self.parts.jobs.earlier(&intake.owner, key, digest).await?;
                    return self.accepted(earlier.ok_or(error)?);
                }
            };
            match self.parts.jobs.insert(self.new_jobs(&intake, &account)).await? {
                // Another account may have some of its budget left.
                Insertion::Overdrawn(no)
                    if no.purse == Purse::Account(account.clone()) && intake.home.is_none() =>
                {
                    overdrawn.push(no);
                }
                insertion => return self.accepted(insertion),
            }
        }
    }

    /// The account that takes all of the requests, which differ in their prompts only: that of the parent, where there is
    /// one; else none of those that are `overdrawn`.
    async fn place(&self, intake: &Intake, overdrawn: &[Overdrawn]) -> Result<AccountName, Error> {
        let Some(first) = intake.requests.first() else {
            return Err(Error::new(ErrorKind::Internal, "a prompt became no jobs"));
        };
        self.check_echo(&first.echo)?;
        let home = intake.home.as_ref().map(|(account, _)| account);
        let able = |error| self.naming_the_able(error, first.action, home);
        let (account, client) = match &intake.home {
            None => self
                .account_for(&intake.requests, overdrawn)
                .await
                .map_err(able)?,
            Some((account, _)) => (account.clone(), self.client(account)?),
        };
        self.check_pictures(client.capabilities(), first, &intake.owner)
            .await?;
        for request in &intake.requests {
            self.check_speed(&account, &request.prompt)?;
        }
        if let Some((_, parent)) = &intake.home {
            for request in &intake.requests {
                refuse_early(&client, request, Some(parent)).map_err(able)?;
            }
        }
        Ok(account)
    }

    /// Whether an account draws as fast as the prompt asks for.
    fn check_speed(&self, account: &AccountName, prompt: &str) -> Result<(), Error> {
        let accounts = &self.parts.accounts;
        if accounts
            .get(account)
            .is_none_or(|account| account.modes.has(prompt))
        {
            return Ok(());
        }
        let speed = prompt::speed(prompt).map_or("this", Speed::name);
        let detail =
            format!("the account {account} has no {speed} mode; leave --{speed} out; nothing was spent");
        Err(Error::new(ErrorKind::Rejected, detail).with_failure(FailureKind::Unsupported))
    }

    /// The account that takes all of the requests, which start from no job of ours.
    async fn account_for(
        &self,
        requests: &[JobRequest],
        overdrawn: &[Overdrawn],
    ) -> Result<(AccountName, Arc<dyn MidjourneyClient>), Error> {
        let accounts = &self.parts.accounts;
        // What each has to do matters only where there is a choice or a limit.
        let matters = accounts.all().len() > 1 || accounts.all().iter().any(|one| one.limits.queue.is_some());
        let live = if matters {
            self.parts.jobs.live().await?
        } else {
            BTreeMap::new()
        };
        let (now, chance) = (self.parts.clock.now(), self.parts.entropy.chance());
        let links = self.parts.links.is_some();
        let broke = |account: &Account| {
            let purse = Purse::Account(account.name.clone());
            overdrawn.iter().any(|overdrawn| overdrawn.purse == purse)
        };
        let takes = |account: &Account| {
            !broke(account) && requests.iter().all(|request| account.takes(request, links))
        };
        let can = |account: &Account| {
            requests
                .iter()
                .all(|request| account.client.check(request, None).is_ok())
        };
        if let Some(account) = accounts.choose(&live, requests.len(), now, chance, takes) {
            return Ok((account.name.clone(), Arc::clone(&account.client)));
        }
        let able: Vec<_> = accounts.all().iter().filter(|account| takes(account)).collect();
        let holds = |account: &&Account| account.limits.most().is_none_or(|most| requests.len() <= most);
        if !able.is_empty() && !able.iter().any(holds) {
            let most = able.iter().filter_map(|account| account.limits.most()).max();
            let detail = format!(
                "this request becomes {} jobs, and no account takes more than {} at a time; ask for fewer at once; \
                 nothing was spent",
                requests.len(),
                most.unwrap_or(0)
            );
            return Err(Error::new(ErrorKind::Rejected, detail).with_failure(FailureKind::Unsupported));
        }
        if !able.is_empty() {
            let full = Error::new(
                ErrorKind::Unavailable,
                "every account's queue is full; nothing was spent",
            );
            return Err(full.with_failure(FailureKind::QueueFull).with_retry_after(FULL));
        }
        if let Some(overdrawn) = overdrawn.last() {
            return Err(self.over_budget(overdrawn));
        }
        // One that lacks links or the speed alone: the checks that follow say so, by their names.
        if let Some(account) = accounts.all().iter().find(|account| can(account)) {
            return Ok((account.name.clone(), Arc::clone(&account.client)));
        }
        // Each refuses it; the first one's words are as good as any.
        if let Some(first) = accounts.all().first() {
            for request in requests {
                refuse_early(&first.client, request, None)?;
            }
        }
        Err(Error::new(ErrorKind::Rejected, "there is no account"))
    }

    pub(super) fn client(&self, account: &AccountName) -> Result<Arc<dyn MidjourneyClient>, Error> {
        self.parts
            .accounts
            .client(account)
            .map(Arc::clone)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Rejected,
                    format!(
                        "the account {account} is not configured here; add its upstream to the configuration"
                    ),
                )
            })
    }

    fn new_jobs(&self, intake: &Intake, account: &AccountName) -> NewJobs {
        let (now, entropy) = (self.parts.clock.now(), &*self.parts.entropy);
        let batch = (intake.requests.len() > 1).then(|| BatchId::new(now, entropy));
        let chosen = intake.id.filter(|_| batch.is_none());
        // Sorted, so that the jobs of a batch keep their order wherever ids decide it.
        let mut ids: Vec<_> = intake
            .requests
            .iter()
            .map(|_| chosen.unwrap_or_else(|| JobId::new(now, entropy)))
            .collect();
        ids.sort_unstable();
        let terms = self.parts.accounts.get(account);
        let cost = |request: &JobRequest| terms.map_or(Credits::ZERO, |account| account.cost(request));
        let jobs = ids
            .into_iter()
            .zip(&intake.requests)
            .map(|(id, request)| NewJob::new(id, request.clone()).at_cost(cost(request)))
            .collect();
        NewJobs::new(intake.owner.clone(), account.clone(), jobs, now)
            .in_batch(batch)
            .with_key(intake.key.clone())
            .within(self.parts.budgets(account))
    }

    fn accepted(&self, insertion: Insertion) -> Result<Accepted, Error> {
        let (jobs, replayed) = match insertion {
            Insertion::Created(jobs) => (jobs, false),
            Insertion::Replayed(jobs) => (jobs, true),
            Insertion::Mismatch => {
                return Err(Error::new(
                    ErrorKind::IdempotencyMismatch,
                    "this idempotency key was used before with another request; use a new key for a new request",
                ));
            }
            Insertion::Overdrawn(overdrawn) => return Err(self.over_budget(&overdrawn)),
        };
        Ok(Accepted {
            batch: jobs.first().and_then(|job| job.batch),
            jobs,
            replayed,
            warnings: Vec::new(),
        })
    }

    pub(super) fn over_budget(&self, overdrawn: &Overdrawn) -> Error {
        let whose = match &overdrawn.purse {
            Purse::Account(account) => format!("the account {account}"),
            Purse::Owner(_) => "this API client".to_owned(),
        };
        let detail = format!(
            "this would cost {}, and the budget of {whose} for this {} has {} left; nothing was spent",
            overdrawn.asked,
            overdrawn.period.name(),
            overdrawn.left
        );
        let rest = overdrawn.period.rest(self.parts.clock.now());
        Error::new(ErrorKind::OverBudget, detail).with_retry_after(rest)
    }
}

/// What came in, checked as far as that is possible without an account.
pub(super) struct Intake {
    pub(super) owner: Owner,
    /// One, or several that differ in their prompts only.
    pub(super) requests: Vec<JobRequest>,
    /// Where they start from, if from a job of ours.
    pub(super) home: Option<(AccountName, ParentTask)>,
    pub(super) key: Option<IdempotencyKey>,
    pub(super) id: Option<JobId>,
}

pub(super) fn refuse_early(
    client: &Arc<dyn MidjourneyClient>,
    request: &JobRequest,
    parent: Option<&ParentTask>,
) -> Result<(), Error> {
    client.check(request, parent).map_err(|failure| {
        Error::new(
            ErrorKind::Rejected,
            format!("{}; nothing was spent", failure.message),
        )
        .with_failure(failure.kind)
    })
}

fn unknown_version(table: &Table, version: &str) -> Error {
    let known: Vec<_> = table.versions.iter().map(|version| version.id.as_str()).collect();
    Error::field(
        "/version",
        format!(
            "{version:?} is not a known version; expected one of {}",
            known.join(", ")
        ),
    )
}

/// The canonical prompt with the version it is to run on, where it names none itself.
fn with_version(prompt: &ExpandedPrompt, table: &Table, version: Option<&str>) -> String {
    let names_none = prompt.params().version().is_none() && prompt.params().niji().is_none();
    match version.and_then(|version| table.version(version)) {
        Some(version) if names_none => format!("{} {}", prompt.text(), version.as_parameter()),
        _ => prompt.text().to_owned(),
    }
}
