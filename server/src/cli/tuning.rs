//! `--set NAME=VALUE`: a strategy's settings for one run over a file.

use clap::Args;
use tidegate_protocol::{Strategy, Symbol};
use tidegate_strategy::{Engine, TickSize};

use super::usage;
use crate::config::Config;
use crate::failure::Failure;

#[derive(Debug, Args)]
pub(super) struct Tuning {
    /// A setting of docs/strategies.md, for example scalp.threshold_percent=0.05; wins over the configuration
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, f64)>,
}

impl Tuning {
    /// The engine of one market that says only what `strategy` says.
    pub(super) fn engine(
        &self,
        config: &Config,
        symbol: Symbol,
        tick: TickSize,
        strategy: Strategy,
    ) -> Result<Engine, Failure> {
        let mut parameters = config.parameters(Some(symbol))?;
        let set = self.set.iter().map(|(name, value)| (name.as_str(), *value));
        let wrong = |error: tidegate_strategy::InvalidParameter| {
            usage(
                "TG-CLI-004",
                error.to_string(),
                "give --set a name of docs/strategies.md and a value in its bounds",
            )
        };
        parameters.set_all(set).map_err(wrong)?;
        let engine = Engine::new(symbol, tick, parameters).map_err(wrong)?;
        Ok(engine.only(&[strategy]))
    }
}

fn setting(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    let number = value.parse().map_err(|_| format!("`{value}` is not a number"))?;
    Ok((name.to_owned(), number))
}
