//! RunInstances: checks everything AWS checks, then makes instances with interface and volumes.
//!
//! Not for their later life, which is in `instances`. The surprise: an instance profile made
//! moments ago is not known here yet, although IAM already shows it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::sandbox::call::{Answer, Call};
use crate::sandbox::entities::{Entity as _, Group, Instance, Interface, Subnet, Tags, Volume};
use crate::sandbox::params::Params;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::select::{GROUP, SUBNET};

use super::{catalog, instances, keys, tags};

const OPERATION: &str = "RunInstances";
const TAGGED: &[&str] = &["instance", "volume", "network-interface", "spot-instances-request"];
/// Most bytes of user data before it is encoded.
const USER_DATA: usize = 16 * 1024;
/// Most virtual CPUs of an account's running instances.
const CPUS: u32 = 640;

/// What an order for instances says, checked.
struct Order {
    count: usize,
    image: catalog::Image,
    kind: String,
    cpus: u32,
    subnet: Subnet,
    groups: Vec<String>,
    public: bool,
    key: Option<String>,
    profile: Option<(String, String)>,
    volumes: Vec<Volume>,
}

pub(super) fn run_instances(call: &mut Call<'_>) -> Answer {
    if let Some(reservation) = call.made_before(OPERATION)? {
        return instances::reservation_answer(call, &reservation);
    }
    let order = read(call)?;
    let reservation = call.dice.id("r");
    for index in 0..order.count {
        launch(call, &order, &reservation, index)?;
    }
    call.remember(OPERATION, &reservation);
    instances::reservation_answer(call, &reservation)
}

fn read(call: &Call<'_>) -> Result<Order, Refusal> {
    let params = call.params;
    let image = catalog::image(params.need("ImageId")?)?;
    let kind = params.text("InstanceType").unwrap_or("m1.small").to_owned();
    let Some(offer) = catalog::kind(&kind) else {
        let message = format!("Invalid value '{kind}' for InstanceType.");
        return Err(Refusal::invalid(message));
    };
    if offer.architecture != image.architecture {
        return Err(Refusal::invalid(format!(
            "The architecture '{}' of the specified instance type does not match the \
             architecture '{}' of the specified AMI.",
            offer.architecture, image.architecture
        )));
    }
    let least = params.number("MinCount")?.ok_or_else(|| Refusal::missing("MinCount"))?;
    let most = params.number("MaxCount")?.ok_or_else(|| Refusal::missing("MaxCount"))?;
    if least < 1 || most < least || most > 100 {
        return Err(Refusal::invalid(format!(
            "Value ({most}) for parameter maxCount is invalid. Expecting 1 <= minCount <= \
             maxCount <= 100"
        )));
    }
    let count = most as usize;
    check_quota(call, offer.cpus * count as u32)?;

    // The subnet, the groups and the public address stand in the request or in its interface.
    let interfaces = params.list("NetworkInterface");
    let place = interfaces.first().copied().unwrap_or(params);
    let Some(subnet) = place.text("SubnetId") else {
        return Err(Refusal::new(
            "MissingInput",
            "No subnets found for the default VPC. Please specify a subnet.",
        ));
    };
    let subnet = SUBNET.find(&call.region.subnets, subnet)?.clone();
    if !catalog::offered(&kind, &subnet.zone) {
        return Err(Refusal::new(
            "Unsupported",
            format!(
                "Your requested instance type ({kind}) is not supported in your requested \
                     Availability Zone ({}).",
                subnet.zone
            ),
        ));
    }
    let public = place.flag("AssociatePublicIpAddress")?.unwrap_or(subnet.public_ips);
    let groups = groups(call, place, &subnet)?;
    let key = params.text("KeyName").map(str::to_owned);
    if let Some(name) = key.as_ref().filter(|name| !call.region.keys.contains_key(*name)) {
        return Err(keys::unknown(name));
    }
    let profile = profile(call)?;
    check_user_data(params)?;
    let volumes = volumes(call, &image)?;
    for kind in TAGGED {
        tags::specified(params, kind, TAGGED)?;
    }
    Ok(Order {
        count,
        image,
        cpus: offer.cpus,
        kind,
        subnet,
        groups,
        public,
        key,
        profile,
        volumes,
    })
}

fn launch(
    call: &mut Call<'_>,
    order: &Order,
    reservation: &str,
    index: usize,
) -> Result<(), Refusal> {
    let params = call.params;
    let specified = |kind| tags::specified(params, kind, TAGGED);
    let Some(private_ip) = call.region.free_address(&order.subnet) else {
        return Err(Refusal::new(
            "InsufficientFreeAddressesInSubnet",
            format!("There are not enough free addresses in subnet '{}'.", order.subnet.id),
        ));
    };
    let id = call.dice.id("i");
    let running_at = call.after(5_000, 20_000);
    let seen_from = call.seen_from();
    let interface = new_interface(call, &order.subnet, &private_ip, order.public);
    let interface = Interface {
        groups: order.groups.clone(),
        instance: Some(id.clone()),
        tags: specified("network-interface")?,
        seen_from,
        ..interface
    };
    let volume_tags: Tags = specified("volume")?;
    let mut volumes = Vec::new();
    for volume in &order.volumes {
        let volume = Volume {
            id: call.dice.id("vol"),
            instance: id.clone(),
            zone: order.subnet.zone.clone(),
            created: call.now,
            seen_from,
            tags: volume_tags.clone(),
            ..volume.clone()
        };
        volumes.push(volume.id.clone());
        call.region.volumes.insert(volume.id.clone(), volume);
    }
    let instance = Instance {
        reservation: reservation.to_owned(),
        image: order.image.id().to_owned(),
        kind: order.kind.clone(),
        subnet: order.subnet.id.clone(),
        vpc: order.subnet.vpc.clone(),
        zone: order.subnet.zone.clone(),
        private_ip,
        public_ip: interface.public_ip.clone(),
        groups: order.groups.clone(),
        interface: interface.id.clone(),
        volumes,
        key: order.key.clone(),
        profile: order.profile.clone(),
        user_data: params.text("UserData").map(str::to_owned),
        token: params.text("ClientToken").map(str::to_owned),
        http_tokens: params.text("MetadataOptions.HttpTokens").unwrap_or("optional").to_owned(),
        hop_limit: params.number("MetadataOptions.HttpPutResponseHopLimit")?.unwrap_or(1),
        ebs_optimized: params.flag("EbsOptimized")?.unwrap_or(false),
        protected: params.flag("DisableApiTermination")?.unwrap_or(false),
        index,
        cpus: order.cpus,
        launched: call.now,
        running_at,
        checked_at: running_at.plus(30_000),
        ending: None,
        seen_from,
        tags: specified("instance")?,
        id,
    };
    call.region.interfaces.insert(interface.id.clone(), interface);
    call.region.instances.insert(instance.id.clone(), instance);
    Ok(())
}

/// Builds an interface in a subnet that nobody holds yet.
pub(in crate::sandbox) fn new_interface(
    call: &mut Call<'_>,
    subnet: &Subnet,
    private_ip: &str,
    public: bool,
) -> Interface {
    let mac = call.dice.hex(8);
    let pairs: Vec<&str> = [0, 2, 4, 6].iter().filter_map(|at| mac.get(*at..at + 2)).collect();
    let mut octet = || call.dice.between(1, 254);
    let public_ip = public.then(|| format!("54.{}.{}.{}", octet(), octet(), octet()));
    Interface {
        id: call.dice.id("eni"),
        attachment: call.dice.id("eni-attach"),
        subnet: subnet.id.clone(),
        vpc: subnet.vpc.clone(),
        zone: subnet.zone.clone(),
        groups: Vec::new(),
        private_ip: private_ip.to_owned(),
        public_ip,
        mac: format!("0a:ff:{}", pairs.join(":")),
        description: String::new(),
        instance: None,
        balancer: None,
        created: call.now,
        gone_at: None,
        seen_from: call.now,
        tags: Tags::new(),
    }
}

fn check_quota(call: &Call<'_>, wanted: u32) -> Result<(), Refusal> {
    let live = call.region.instances.values().filter(|one| !one.is_terminated(call.now));
    if live.map(|instance| instance.cpus).sum::<u32>() + wanted <= CPUS {
        return Ok(());
    }
    Err(Refusal::new(
        "VcpuLimitExceeded",
        format!("You have requested more vCPU capacity than your current vCPU limit of {CPUS}"),
    ))
}

fn groups(call: &Call<'_>, place: &Params, subnet: &Subnet) -> Result<Vec<String>, Refusal> {
    let mut groups = place.texts("SecurityGroupId");
    for id in &groups {
        if GROUP.find(&call.region.groups, id)?.vpc != subnet.vpc {
            return Err(Refusal::invalid(format!(
                "Security group {id} and subnet {} belong to different networks.",
                subnet.id
            )));
        }
    }
    if groups.is_empty() {
        let default = |group: &&Group| group.vpc == subnet.vpc && group.name == "default";
        groups.extend(call.region.groups.values().find(default).map(|group| group.id.clone()));
    }
    Ok(groups)
}

fn profile(call: &Call<'_>) -> Result<Option<(String, String)>, Refusal> {
    let (name, arn) =
        (call.params.text("IamInstanceProfile.Name"), call.params.text("IamInstanceProfile.Arn"));
    let profile = match (name, arn) {
        (None, None) => return Ok(None),
        (Some(name), None) => call.iam.profiles.get(name),
        (None, Some(arn)) => call.iam.profiles.values().find(|profile| profile.arn == arn),
        (Some(_), Some(_)) => {
            return Err(Refusal::new(
                "InvalidParameterCombination",
                "The parameter 'iamInstanceProfile.name' may not be used in combination with \
                 'iamInstanceProfile.arn'",
            ));
        }
    };
    let named = name.or(arn).unwrap_or_default();
    let Some(profile) = profile.filter(|profile| profile.usable_from <= call.now) else {
        let what = if name.is_some() { "name" } else { "arn" };
        return Err(Refusal::invalid(format!(
            "Value ({named}) for parameter iamInstanceProfile.{what} is invalid. Invalid IAM \
             Instance Profile {what}"
        )));
    };
    if profile.roles.is_empty() {
        return Err(Refusal::invalid(format!(
            "IAM Instance Profile \"{}\" has no associated IAM Roles",
            profile.arn
        )));
    }
    Ok(Some((profile.arn.clone(), profile.id.clone())))
}

fn check_user_data(params: &Params) -> Result<(), Refusal> {
    let Some(data) = params.text("UserData") else { return Ok(()) };
    match STANDARD.decode(data) {
        Ok(raw) if raw.len() <= USER_DATA => Ok(()),
        Ok(_) => Err(Refusal::invalid("User data is limited to 16384 bytes")),
        Err(_) => Err(Refusal::invalid("Invalid BASE64 encoding of user data.")),
    }
}

fn volumes(call: &Call<'_>, image: &catalog::Image) -> Result<Vec<Volume>, Refusal> {
    let root = |device: &str| device == catalog::ROOT_DEVICE;
    let template = |device: &str| Volume {
        id: String::new(),
        instance: String::new(),
        device: device.to_owned(),
        size: catalog::ROOT_SIZE,
        kind: "gp3".into(),
        encrypted: false,
        snapshot: root(device).then(|| image.snapshot()),
        dies_with_instance: true,
        zone: String::new(),
        created: call.now,
        seen_from: call.now,
        tags: Tags::new(),
    };
    let mut volumes = vec![template(catalog::ROOT_DEVICE)];
    for mapping in call.params.list("BlockDeviceMapping") {
        let device = mapping.need("DeviceName")?;
        let mut volume = template(device);
        if let Some(size) = mapping.number("Ebs.VolumeSize")? {
            if root(device) && size < catalog::ROOT_SIZE {
                return Err(Refusal::new(
                    "InvalidBlockDeviceMapping",
                    format!(
                        "Volume of size {size}GB is smaller than snapshot, expect size >= {}GB",
                        catalog::ROOT_SIZE
                    ),
                ));
            }
            if !(1..=16_384).contains(&size) {
                return Err(Refusal::invalid(format!("Volume size {size} is out of range")));
            }
            volume.size = size;
        } else if !root(device) && mapping.text("Ebs.SnapshotId").is_none() {
            return Err(Refusal::missing("BlockDeviceMapping.Ebs.VolumeSize"));
        }
        if let Some(kind) = mapping.text("Ebs.VolumeType") {
            if !["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"].contains(&kind) {
                return Err(Refusal::invalid(format!("Invalid volume type '{kind}'")));
            }
            volume.kind = kind.to_owned();
        }
        volume.encrypted = mapping.flag("Ebs.Encrypted")?.unwrap_or(false);
        volume.dies_with_instance = mapping.flag("Ebs.DeleteOnTermination")?.unwrap_or(true);
        volumes.retain(|known| known.device != volume.device);
        volumes.push(volume);
    }
    Ok(volumes)
}
