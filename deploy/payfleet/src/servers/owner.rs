//! Which user Postgres runs as. It refuses to run as root, so root hands it to `postgres`, or to
//! `nobody` where that user does not exist. Anybody else runs it as themselves.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;
use sha2::{Digest, Sha256};

/// A user to run a child as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A data folder below `home` that its future owner can reach, and that owner, if it is not
/// ourselves.
pub(super) fn data_dir(home: &Path) -> anyhow::Result<(PathBuf, Option<Owner>)> {
    let data = home.join("data");
    if !rustix::process::geteuid().is_root() {
        std::fs::create_dir_all(&data)?;
        return Ok((data, None));
    }
    let owner = match std::fs::metadata(&data) {
        // What exists already keeps its owner.
        Ok(meta) if meta.uid() != 0 => Owner { uid: meta.uid(), gid: meta.gid() },
        _ => ordinary_user()?,
    };
    std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o711))?;
    if is_reachable(home, owner)? {
        give(&data, owner)?;
        return Ok((data, Some(owner)));
    }
    // A home folder closed to others, such as root's: keep the data outside, under a name that the
    // next start finds again.
    let name = hex::encode(Sha256::digest(home.as_os_str().as_encoded_bytes()));
    let outside = Path::new("/var/tmp").join(format!("payfleet-{}", name.get(..16).unwrap_or(&name)));
    give(&outside, owner)?;
    Ok((outside, Some(owner)))
}

/// Creates `dir` for `owner` alone. One that belongs to a third user is refused: in a folder that
/// everybody may write to, it is a trap.
fn give(dir: &Path, owner: Owner) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir)?;
    let meta = std::fs::symlink_metadata(dir)?;
    anyhow::ensure!(
        meta.is_dir() && (meta.uid() == 0 || meta.uid() == owner.uid),
        "{} belongs to another user: remove it",
        dir.display()
    );
    chown(dir, Some(owner.uid), Some(owner.gid))?;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    Ok(())
}

fn is_reachable(dir: &Path, owner: Owner) -> anyhow::Result<bool> {
    let status = Command::new("/bin/sh")
        .args(["-c", "cd -- \"$0\""])
        .arg(dir)
        .current_dir("/")
        .uid(owner.uid)
        .gid(owner.gid)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    Ok(status.success())
}

fn ordinary_user() -> anyhow::Result<Owner> {
    let users = std::fs::read_to_string("/etc/passwd").context("/etc/passwd cannot be read")?;
    find_user(&users, "postgres")
        .or_else(|| find_user(&users, "nobody"))
        .context("Postgres does not run as root, and there is neither a user postgres nor nobody")
}

fn find_user(passwd: &str, name: &str) -> Option<Owner> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next() == Some(name);
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        found.then_some(Owner { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "postgresql:x:7:8::/:/bin/sh\npostgres:x:101:104:admin,,,:/var/lib:/bin/bash\n";
        assert_eq!(find_user(passwd, "postgres"), Some(Owner { uid: 101, gid: 104 }));
        assert_eq!(find_user(passwd, "nobody"), None);
    }
}
