//! apps/clusters
