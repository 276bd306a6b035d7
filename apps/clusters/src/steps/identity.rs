//! The steps that say who may log in to the instances, and what the instances may do.

use async_trait::async_trait;
use aws_sdk_iam::types::Tag;
use fixpoint::{BoxError, Context, Step, Steps};
use fixpoint_aws::ec2;

use super::{create, unless};
use crate::{Cluster, error::could_not, names::Part, observe};

/// Lets EC2 instances take the role on.
const TRUST: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Allow",
    "Principal": {"Service": "ec2.amazonaws.com"},
    "Action": "sts:AssumeRole"
  }]
}"#;

/// What the instances may do: read their own tags, and report how they are.
const POLICY: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Allow",
    "Action": ["ec2:DescribeTags", "cloudwatch:PutMetricData"],
    "Resource": "*"
  }]
}"#;

/// Makes the key pair: the customer's if there is one, else one that nobody can use.
#[derive(Debug)]
pub struct CreateKeyPair {
    /// Of this cluster.
    pub cluster: Cluster,
}

#[async_trait]
impl Step for CreateKeyPair {
    fn name(&self) -> &str {
        "create_key_pair"
    }

    async fn run(&self, cx: &Context) -> Result<Steps, BoxError> {
        let Self { cluster } = self;
        let (ec2, names) = (&cluster.aws().ec2, cluster.names());
        let key_name = names.key_pair();
        let tag_specifications = names.specification("key-pair", Part::KeyPair);
        let make = async {
            let id = match &cluster.spec().ssh_public_key {
                Some(key) => {
                    let public_key_material = key.clone();
                    let request =
                        ec2::ImportKeyPair { key_name, public_key_material, tag_specifications };
                    ec2.send(request).await?.key_pair_id
                }
                // AWS answers with the private key. It is dropped right here: a key that is kept
                // nowhere cannot leak, and whoever wants to log in brings a key of their own.
                None => {
                    let key_type = Some("ed25519".into());
                    let request = ec2::CreateKeyPair { key_name, key_type, tag_specifications };
                    ec2.send(request).await?.key_pair_id
                }
            };
            Ok::<_, fixpoint_aws::Error>(id)
        };
        let is_there = |c: Cluster| async move {
            Ok(observe::key_pairs(&c).await?.contains(&c.names().key_pair()))
        };
        create(cx, cluster, "the key pair", is_there, make).await?;
        Ok(Steps::none())
    }
}

/// Makes the role, its policy, and the instance profile that holds it: whatever is missing.
#[derive(Debug)]
pub struct CreateInstanceProfile {
    /// Of this cluster.
    pub cluster: Cluster,
}

#[async_trait]
impl Step for CreateInstanceProfile {
    fn name(&self) -> &str {
        "create_instance_profile"
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        let (iam, names) = (&self.cluster.aws().iam, self.cluster.names());
        let (name, path) = (names.identity(), names.identity_path());
        let tags = tags(&self.cluster)?;

        // IAM things are unique by name, so an unheard success shows as "exists" the next time.
        let exists = "EntityAlreadyExists";
        let role = iam.create_role().role_name(&name).path(&path).set_tags(Some(tags.clone()));
        let role = role.assume_role_policy_document(TRUST).send().await;
        unless(role, exists, "create the IAM role")?;

        let policy = iam.put_role_policy().role_name(&name).policy_name(&name);
        let policy = policy.policy_document(POLICY).send().await;
        policy.map_err(could_not("put the policy on the IAM role"))?;

        let profile = iam.create_instance_profile().instance_profile_name(&name).path(&path);
        let profile = profile.set_tags(Some(tags)).send().await;
        unless(profile, exists, "create the instance profile")?;

        // A profile holds one role at most, so a second try is over the limit.
        let add = iam.add_role_to_instance_profile().instance_profile_name(&name).role_name(&name);
        unless(add.send().await, "LimitExceeded", "add the role to the instance profile")?;
        Ok(Steps::none())
    }
}

fn tags(cluster: &Cluster) -> Result<Vec<Tag>, BoxError> {
    let tags = cluster.names().tags(Part::Identity).into_iter();
    let tags = tags.map(|(key, value)| Tag::builder().key(key).value(value).build());
    tags.collect::<Result<_, _>>().map_err(could_not("write the tags of the IAM role"))
}
