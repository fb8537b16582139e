//! Answers questions about Cedar policies for every request there can be, by Cedar's symbolic compiler.
//!
//! One JSON document comes on the standard input: a schema, named policy sets in Cedar's JSON form,
//! and questions about them. One line of JSON goes out for each question and each request
//! environment (action, type of principal, type of resource) of the schema: `proved`, or `refuted`
//! with a request and entities for which it does not hold. What cannot be answered ends the program
//! with a code other than 0: nobody takes silence for a proof.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::io::{self, Read, Write};

use cedar_policy::{PolicySet, RequestEnv, Schema};
use cedar_policy_symcc::{
    solver::LocalSolver, CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env,
};
use serde::Deserialize;
use serde_json::{json, Value};

type Failure = Box<dyn Error>;

#[derive(Deserialize)]
struct Document {
    /// In Cedar's JSON form.
    schema: Value,
    /// Each in Cedar's JSON form, of static policies alone.
    sets: BTreeMap<String, Value>,
    questions: Vec<Question>,
}

#[derive(Deserialize)]
struct Question {
    id: String,
    #[serde(flatten)]
    ask: Ask,
    /// Whether one environment that refutes it is all that is wanted.
    #[serde(default)]
    until_refuted: bool,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Ask {
    /// Whatever `left` allows, `right` allows.
    Implies { left: String, right: String },
    /// The one policy of the set never ends in an error.
    NeverErrors { set: String },
    /// The one policy of the set applies to no request.
    NeverMatches { set: String },
}

/// A set that was read, and what it was compiled to for one environment.
struct Sets<'a> {
    read: HashMap<&'a str, PolicySet>,
    compiled: HashMap<&'a str, CompiledPolicySet>,
}

impl<'a> Sets<'a> {
    fn policies(
        &mut self,
        name: &'a str,
        env: &RequestEnv,
        schema: &Schema,
    ) -> Result<CompiledPolicySet, Failure> {
        if !self.compiled.contains_key(name) {
            let found = CompiledPolicySet::compile(self.set(name)?, env, schema)?;
            self.compiled.insert(name, found);
        }
        Ok(self.compiled[name].clone())
    }

    fn policy(
        &self,
        name: &str,
        env: &RequestEnv,
        schema: &Schema,
    ) -> Result<CompiledPolicy, Failure> {
        let mut found = self.set(name)?.policies();
        match (found.next(), found.next()) {
            (Some(policy), None) => Ok(CompiledPolicy::compile(policy, env, schema)?),
            _ => Err(format!("set `{name}` must have one policy").into()),
        }
    }

    fn set(&self, name: &str) -> Result<&PolicySet, Failure> {
        self.read
            .get(name)
            .ok_or_else(|| format!("there is no set `{name}`").into())
    }
}

/// Reads a set. The symbolic compiler takes no slots, and versions of it before cedar#2273 left
/// linked policies out in silence: a set that has any is refused here.
fn read(name: &str, document: &Value) -> Result<PolicySet, Failure> {
    for member in ["templates", "templateLinks"] {
        let none = match document.get(member) {
            None => true,
            Some(Value::Object(found)) => found.is_empty(),
            Some(Value::Array(found)) => found.is_empty(),
            Some(_) => false,
        };
        if !none {
            return Err(format!("set `{name}` has `{member}`: write the policies out").into());
        }
    }
    let set = PolicySet::from_json_value(document.clone())?;
    let given = document
        .get("staticPolicies")
        .and_then(Value::as_object)
        .map_or(0, |all| all.len());
    if set.policies().count() != given {
        return Err(format!("set `{name}`: {given} policies were given, others were read").into());
    }
    Ok(set)
}

async fn ask<'a>(
    compiler: &mut CedarSymCompiler<LocalSolver>,
    ask: &'a Ask,
    sets: &mut Sets<'a>,
    env: &RequestEnv,
    schema: &Schema,
) -> Result<Option<Env>, Failure> {
    Ok(match ask {
        Ask::Implies { left, right } => {
            let (left, right) = (
                sets.policies(left, env, schema)?,
                sets.policies(right, env, schema)?,
            );
            compiler
                .check_implies_with_counterexample_opt(&left, &right)
                .await?
        }
        Ask::NeverErrors { set } => {
            let policy = sets.policy(set, env, schema)?;
            compiler
                .check_never_errors_with_counterexample_opt(&policy)
                .await?
        }
        Ask::NeverMatches { set } => {
            let policy = sets.policy(set, env, schema)?;
            compiler
                .check_never_matches_with_counterexample_opt(&policy)
                .await?
        }
    })
}

/// A request with its entities, in Cedar's JSON forms.
fn shown(found: &Env) -> Result<Value, Failure> {
    let request = &found.request;
    let uid = |uid: Option<&cedar_policy::EntityUid>| {
        uid.map(|uid| json!({"type": uid.type_name().to_string(), "id": uid.id().unescaped()}))
    };
    let context = request
        .context()
        .map(|context| context.to_json_value())
        .transpose()?;
    Ok(json!({
        "principal": uid(request.principal()),
        "action": uid(request.action()),
        "resource": uid(request.resource()),
        "context": context,
        "entities": found.entities.to_json_value()?,
    }))
}

async fn run() -> Result<(), Failure> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let document: Document = serde_json::from_str(&text)?;
    let schema = Schema::from_json_value(document.schema.clone())?;
    let mut read_sets = HashMap::new();
    for (name, set) in &document.sets {
        read_sets.insert(name.as_str(), read(name, set)?);
    }
    let mut sets = Sets {
        read: read_sets,
        compiled: HashMap::new(),
    };
    let mut compiler = CedarSymCompiler::new(LocalSolver::cvc5()?)?;
    let mut out = io::stdout().lock();
    let mut settled = vec![false; document.questions.len()];
    let mut environments: Vec<RequestEnv> = schema.request_envs().collect();
    environments.sort_by_key(|env| format!("{env:?}"));
    for env in &environments {
        sets.compiled.clear();
        for (index, question) in document.questions.iter().enumerate() {
            if settled[index] {
                continue;
            }
            let found = ask(&mut compiler, &question.ask, &mut sets, env, &schema).await?;
            settled[index] = question.until_refuted && found.is_some();
            let answer = json!({
                "id": question.id,
                "action": env.action().id().unescaped(),
                "resource": env.resource().to_string(),
                "outcome": if found.is_some() { "refuted" } else { "proved" },
                "request": found.as_ref().map(shown).transpose()?,
            });
            writeln!(out, "{answer}")?;
        }
    }
    writeln!(
        out,
        "{}",
        json!({"done": true, "environments": environments.len()})
    )?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(failure) = run().await {
        eprintln!("{failure}");
        std::process::exit(2);
    }
}
