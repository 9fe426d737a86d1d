//! A GPU server for programs to run on.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::dist::Dist;
use crate::paths;
use crate::process::Server;

/// Starts a server that listens at `listen`, and reads where that is. `name` names its log.
pub(crate) fn start(
    dist: &Dist,
    name: &str,
    listen: &str,
    driver: &str,
) -> Result<(String, Server)> {
    start_with(dist, name, listen, driver, &[])
}

/// The same, with variables of its environment.
pub(crate) fn start_with(
    dist: &Dist,
    name: &str,
    listen: &str,
    driver: &str,
    variables: &[(&str, &str)],
) -> Result<(String, Server)> {
    let log = paths::work().join(format!("server-{name}.log"));
    let mut serve = dist.command();
    serve.args(["serve", "--listen", listen, "--driver", driver, "--modules"]);
    serve.arg(paths::work().join("modules"));
    serve.envs(variables.iter().copied());
    let mut server = Server::start("rgpu serve", &mut serve, &log)?;
    let scheme = listen.split(':').next().unwrap_or_default().to_owned();
    let mut url = None;
    server.read_until(Duration::from_secs(60), |line| {
        let found = line
            .strip_prefix("listening on ")
            .map(str::trim)
            .filter(|u| u.starts_with(&scheme));
        url = found.map(str::to_owned);
        url.is_some()
    })?;
    Ok((
        url.context("the server did not say where it listens")?,
        server,
    ))
}
