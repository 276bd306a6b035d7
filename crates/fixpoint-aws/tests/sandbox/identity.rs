//! IAM and STS.

use super::{Cloud, launch, network};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;

#[tokio::test(start_paused = true)]
async fn a_new_profile_is_unknown_to_launches_for_some_seconds() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    cloud.iam(format!("CreateRole&RoleName=r&AssumeRolePolicyDocument={TRUST}")).await.ok();
    cloud.iam("CreateInstanceProfile&InstanceProfileName=p").await.ok();
    cloud.iam("AddRoleToInstanceProfile&InstanceProfileName=p&RoleName=r").await.ok();
    cloud.iam("GetInstanceProfile&InstanceProfileName=p").await.ok();
    let call = format!("{}&IamInstanceProfile.Name=p", launch(&net, 1));
    cloud.ec2(&call).await.refused("InvalidParameterValue");
    cloud.pass(11).await;
    let made = cloud.ec2(&call).await.ok();
    assert!(made.body.contains("instance-profile/p"));
}

#[tokio::test(start_paused = true)]
async fn roles_and_profiles_are_unique_and_deleted_in_order() {
    let cloud = Cloud::fresh();
    let role = format!("CreateRole&RoleName=r&AssumeRolePolicyDocument={TRUST}");
    cloud.iam(&role).await.ok();
    let again = cloud.iam(&role).await;
    again.refused("EntityAlreadyExists");
    assert_eq!(again.status, 409);
    cloud
        .iam("CreateRole&RoleName=x&AssumeRolePolicyDocument=no")
        .await
        .refused("MalformedPolicyDocument");
    let put = format!("PutRolePolicy&RoleName=r&PolicyName=a&PolicyDocument={TRUST}");
    cloud.iam(put).await.ok();
    cloud.iam("CreateInstanceProfile&InstanceProfileName=p").await.ok();
    let add = "AddRoleToInstanceProfile&InstanceProfileName=p&RoleName=r";
    cloud.iam(add).await.ok();
    cloud.iam(add).await.refused("LimitExceeded");
    let names = cloud.iam("ListRolePolicies&RoleName=r").await.ok();
    assert_eq!(names.all("member"), ["a"]);
    let policy = cloud.iam("GetRolePolicy&RoleName=r&PolicyName=a").await.ok();
    assert!(policy.get("PolicyDocument").starts_with("%7B%22Version"), "not percent-encoded");

    let (delete_role, delete_profile) =
        ("DeleteRole&RoleName=r", "DeleteInstanceProfile&InstanceProfileName=p");
    cloud.iam(delete_role).await.refused("DeleteConflict");
    cloud.iam("DeleteRolePolicy&RoleName=r&PolicyName=a").await.ok();
    cloud.iam(delete_role).await.refused("DeleteConflict");
    cloud.iam(delete_profile).await.refused("DeleteConflict");
    cloud.iam("RemoveRoleFromInstanceProfile&InstanceProfileName=p&RoleName=r").await.ok();
    cloud.iam(delete_profile).await.ok();
    cloud.iam(delete_role).await.ok();
    let gone = cloud.iam("GetRole&RoleName=r").await;
    gone.refused("NoSuchEntity");
    assert_eq!(gone.status, 404);
}

#[tokio::test(start_paused = true)]
async fn sts_names_the_account_and_unsigned_calls_are_refused() {
    let cloud = Cloud::fresh();
    let who = cloud.try_send("sts", "eu-west-1", "GetCallerIdentity").await.unwrap().ok();
    assert_eq!(who.get("Account"), "123456789012");
    cloud.try_send("s3", "eu-west-1", "ListBuckets").await.unwrap().refused("UnknownService");
    cloud
        .try_send("", "", "GetCallerIdentity")
        .await
        .unwrap()
        .refused("MissingAuthenticationToken");
}
