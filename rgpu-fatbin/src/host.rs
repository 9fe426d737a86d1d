//! Fat binaries inside the objects and static libraries of a host compiler.

use object::read::archive::ArchiveFile;
use object::{Object as _, ObjectSection as _};

use crate::container::{CONTAINER_HEADER, CONTAINER_MAGIC, container_extent, le_u32};
use crate::{Error, MAX_ENTRIES};

/// Sections in which `nvcc` puts containers: of whole programs, and of relocatable device code.
const SECTIONS: [&str; 2] = [".nv_fatbin", "__nv_relfatbin"];

/// Containers start at multiples of this.
const ALIGNMENT: usize = 8;

/// An object in a static library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name.
    pub name: String,
    /// The containers in it.
    pub containers: Vec<&'a [u8]>,
}

/// The containers in an object of the host's.
pub fn containers(object: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let file = object::File::parse(object).map_err(|_| Error::Invalid("object file"))?;
    let mut containers = Vec::new();
    for section in file.sections() {
        if section.name().is_ok_and(|name| SECTIONS.contains(&name)) {
            let data = section.data();
            collect(
                data.map_err(|_| Error::Truncated("section"))?,
                &mut containers,
            )?;
        }
    }
    Ok(containers)
}

/// The members of a static library that hold containers.
pub fn members(library: &[u8]) -> Result<Vec<Member<'_>>, Error> {
    let archive = ArchiveFile::parse(library).map_err(|_| Error::Invalid("static library"))?;
    let mut members = Vec::new();
    for member in archive.members() {
        let member = member.map_err(|_| Error::Truncated("static library"))?;
        let data = member.data(library);
        let data = data.map_err(|_| Error::Truncated("static library"))?;
        // What is no object has no device code.
        let containers = containers(data).unwrap_or_default();
        if !containers.is_empty() {
            let name = String::from_utf8_lossy(member.name()).into_owned();
            members.push(Member { name, containers });
        }
    }
    Ok(members)
}

/// The containers that follow each other in a section.
fn collect<'a>(mut section: &'a [u8], containers: &mut Vec<&'a [u8]>) -> Result<(), Error> {
    while section.len() >= CONTAINER_HEADER {
        if le_u32(section, 0) != Some(CONTAINER_MAGIC) {
            section = &section[ALIGNMENT..];
            continue;
        }
        let (_, total) = container_extent(section)?;
        let container = section.get(..total).ok_or(Error::Truncated("container"))?;
        if containers.len() == MAX_ENTRIES {
            return Err(Error::Invalid("number of containers"));
        }
        containers.push(container);
        let next = total.next_multiple_of(ALIGNMENT).min(section.len());
        section = &section[next..];
    }
    Ok(())
}
