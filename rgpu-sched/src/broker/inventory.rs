//! Where the broker learns what GPUs there are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A GPU of some server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuDevice {
    /// Its index on the server.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub uuid: String,
    /// All its memory, in bytes.
    pub total_memory: u64,
    /// What is not in use or leased, in bytes.
    pub free_memory: u64,
}

/// Why a server could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InventoryError(String);

impl InventoryError {
    /// For the reason given.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// Asks GPU servers what they have.
#[async_trait::async_trait]
pub trait GpuInventory: Send + Sync + std::fmt::Debug {
    /// The devices of the server at `url`, now.
    async fn devices(&self, url: &str) -> Result<Vec<GpuDevice>, InventoryError>;
}

/// Devices that are known beforehand; for tests, and for sites that partition their GPUs by hand.
#[derive(Clone, Debug, Default)]
pub struct StaticInventory(pub BTreeMap<String, Vec<GpuDevice>>);

#[async_trait::async_trait]
impl GpuInventory for StaticInventory {
    async fn devices(&self, url: &str) -> Result<Vec<GpuDevice>, InventoryError> {
        self.0
            .get(url)
            .cloned()
            .ok_or_else(|| InventoryError::new(format!("no devices are listed for {url}")))
    }
}
