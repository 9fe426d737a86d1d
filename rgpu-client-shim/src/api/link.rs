//! The driver's linker. The server's driver links; what it says and the image come back.

use std::ffi::c_char;
use std::sync::{Arc, Mutex};

use rgpu_fatbin::ImageKind;
use rgpu_fatbin::raw::{self, RawImage};
use rgpu_proto::handle::Link as LinkKind;
use rgpu_proto::limits::{INLINE_MODULE, MAX_MODULE};
use rgpu_proto::msg::link::{LinkAdd, LinkComplete, LinkCreate, LinkDestroy, LinkLog, Linked};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire::{self, Decode, Reader};

use super::*;
use crate::client::get as client;
use crate::jit_options::JitOptions;
use crate::session::{Answer, Origin};
use crate::shadow::links::Link;

/// `CU_JIT_INPUT_PTX`.
const PTX: u32 = 1;
/// `CU_JIT_INPUT_FATBINARY`.
const FATBINARY: u32 = 2;

/// The most bytes that an application's file may have; a link takes no more in all.
const MAX_FILE: u64 = MAX_MODULE;

pub(crate) unsafe fn cuLinkCreate_v2(
    num_options: u32,
    options: *mut u32,
    option_values: *mut c_void,
    state_out: *mut *mut c_void,
) -> Result {
    let client = client()?;
    client.working_context()?;
    if state_out.is_null() {
        return Err(INVALID);
    }
    // SAFETY: the application's arrays.
    let options = unsafe { JitOptions::read(num_options, options, option_values)? };
    let (id, _) = create(client, options)?;
    // SAFETY: the application's pointer.
    unsafe { put(state_out, id.to_c()) }
}

/// Links PTX texts, as the parts of a program of relocatable device code; the image.
pub(super) fn link_texts(client: &'static Client, texts: &[String]) -> Result<Box<[u8]>> {
    client.working_context()?;
    let none = JitOptions::default();
    let (id, link) = create(client, JitOptions::default())?;
    let image = (1..)
        .zip(texts)
        .try_for_each(|(number, text)| {
            add(
                client,
                id,
                &link,
                PTX,
                text.as_bytes(),
                format!("part {number}"),
                &none,
            )
        })
        .and_then(|()| complete(client, id, &none));
    destroy(client, id)?;
    image
}

fn create(client: &'static Client, options: JitOptions) -> Result<(Id<LinkKind>, Arc<Link>)> {
    let id = Id::<LinkKind>::new(client.mint());
    let create = LinkCreate {
        id,
        options: options.numbers().to_vec(),
    };
    let link = Arc::new(Link {
        options,
        image: Mutex::default(),
    });
    client
        .session
        .post(const { Opcode::of("cuLinkCreate_v2") }, &create)?;
    client.links.hold().insert(id.0, link.clone());
    Ok((id, link))
}

/// The link behind a handle.
fn find(client: &'static Client, state: *mut c_void) -> Result<(Id<LinkKind>, Arc<Link>)> {
    client.working_context()?;
    let id = Id::<LinkKind>::new(handle::<LinkKind>(client, state)?);
    let link = client.links.hold().get(&id.0).cloned();
    Ok((id, link.ok_or(Status::ERROR_INVALID_HANDLE)?))
}

#[expect(clippy::too_many_arguments, reason = "the C API has them")]
pub(crate) unsafe fn cuLinkAddData_v2(
    state: *mut c_void,
    kind: u32,
    data: *mut c_void,
    size: usize,
    name: *const c_char,
    num_options: u32,
    options: *mut u32,
    option_values: *mut c_void,
) -> Result {
    if data.is_null() || size == 0 {
        return Err(INVALID);
    }
    // SAFETY: the application's bytes, which stay for the call.
    let mut bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), size) };
    // A wrapper holds a pointer to the container, which means nothing to the server.
    if kind == FATBINARY && rgpu_fatbin::sniff(bytes) == Some(ImageKind::Wrapper) {
        // SAFETY: the magic number says that a complete wrapper is here.
        match unsafe { raw::image(data) } {
            Ok(RawImage::Fatbin { main, .. }) => bytes = main,
            _ => return Err(Status::ERROR_INVALID_IMAGE),
        }
    }
    let name = match name.is_null() {
        true => String::new(),
        // SAFETY: the application's text.
        false => unsafe { text(name)? }.to_string_lossy().into_owned(),
    };
    // SAFETY: the application's arrays.
    let options = unsafe { JitOptions::read(num_options, options, option_values)? };
    let client = client()?;
    let (id, link) = find(client, state)?;
    add(client, id, &link, kind, bytes, name, &options)
}

pub(crate) unsafe fn cuLinkAddFile_v2(
    state: *mut c_void,
    kind: u32,
    path: *const c_char,
    num_options: u32,
    options: *mut u32,
    option_values: *mut c_void,
) -> Result {
    use std::os::unix::ffi::OsStrExt;
    // SAFETY: the application's text.
    let name = unsafe { text(path)? };
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
    // SAFETY: the application's arrays.
    let options = unsafe { JitOptions::read(num_options, options, option_values)? };
    let client = client()?;
    let (id, link) = find(client, state)?;
    let size = std::fs::metadata(path).map_err(|_| Status::ERROR_FILE_NOT_FOUND)?;
    if size.len() > MAX_FILE {
        return Err(Status::ERROR_OUT_OF_MEMORY);
    }
    let bytes = std::fs::read(path).map_err(|_| Status::ERROR_FILE_NOT_FOUND)?;
    let name = name.to_string_lossy().into_owned();
    add(client, id, &link, kind, &bytes, name, &options)
}

fn add(
    client: &'static Client,
    id: Id<LinkKind>,
    link: &Link,
    kind: u32,
    input: &[u8],
    name: String,
    options: &JitOptions,
) -> Result {
    const OP: Opcode = Opcode::of("cuLinkAddData_v2");
    let size = input.len() as u64;
    if size == 0 {
        return Err(INVALID);
    }
    if size > MAX_MODULE {
        return Err(Status::ERROR_OUT_OF_MEMORY);
    }
    let add = LinkAdd {
        id,
        kind,
        name,
        size,
        inline: input.len() <= INLINE_MODULE,
        options: options.numbers().to_vec(),
    };
    let answer = if add.inline {
        let body = wire::to_bytes(&add);
        client
            .session
            .ask_fully(OP, Origin::here(), &[&body, input])?
    } else {
        client.session.upload(OP, &add, input)?
    };
    // An answer that came before the driver was asked has no body.
    if !answer.body.is_empty() {
        let said = read::<LinkLog>(client, OP, &answer)?.0;
        // SAFETY: CUDA wants the arrays and buffers to stay valid until the link is destroyed.
        unsafe { link.options.report(&said.info, &said.error) };
    }
    client.session.judge(answer.status)
}

/// The front of an answer, and what follows it.
fn read<'a, T: Decode>(
    client: &'static Client,
    op: Opcode,
    answer: &'a Answer,
) -> Result<(T, &'a [u8])> {
    let mut reader = Reader::new(&answer.body);
    let front = T::decode(&mut reader).map_err(|error| client.session.broken(op, &error))?;
    Ok((front, reader.rest()))
}

pub(crate) unsafe fn cuLinkComplete(
    state: *mut c_void,
    cubin_out: *mut c_void,
    size_out: *mut usize,
) -> Result {
    let client = client()?;
    let (id, link) = find(client, state)?;
    if cubin_out.is_null() {
        return Err(INVALID);
    }
    let mut image = link.image.hold();
    if image.is_none() {
        *image = Some(complete(client, id, &link.options)?);
    }
    let image = image.as_deref().unwrap_or_default();
    // SAFETY: the application's pointers; the image stays where it is until the link is destroyed.
    unsafe {
        put_opt(size_out, image.len());
        put(cubin_out.cast(), image.as_ptr())
    }
}

/// Has the server link, and reads the image.
fn complete(client: &'static Client, id: Id<LinkKind>, options: &JitOptions) -> Result<Box<[u8]>> {
    const OP: Opcode = Opcode::of("cuLinkComplete");
    let mut image = Vec::new();
    loop {
        let from = image.len() as u64;
        let body = wire::to_bytes(&LinkComplete { id, from });
        let answer = client.session.ask_fully(OP, Origin::here(), &[&body])?;
        if answer.body.is_empty() {
            client.session.judge(answer.status)?;
        }
        let (linked, piece) = read::<Linked>(client, OP, &answer)?;
        // SAFETY: CUDA wants the arrays and buffers to stay valid until the link is destroyed.
        unsafe { options.report(&linked.log.info, &linked.log.error) };
        client.session.judge(answer.status)?;
        image.extend_from_slice(piece);
        let (here, size) = (image.len() as u64, linked.size);
        if here == size {
            return Ok(image.into());
        }
        if piece.is_empty() || here > size {
            let error = wire::DecodeError::Invalid {
                what: "piece of a linked image",
                value: here,
            };
            return Err(client.session.broken(OP, &error));
        }
    }
}

pub(crate) unsafe fn cuLinkDestroy(state: *mut c_void) -> Result {
    let client = client()?;
    client.session.usable()?;
    destroy(client, Id::new(handle::<LinkKind>(client, state)?))
}

fn destroy(client: &'static Client, id: Id<LinkKind>) -> Result {
    if client.links.hold().remove(&id.0).is_none() {
        return Err(Status::ERROR_INVALID_HANDLE);
    }
    client
        .session
        .post(const { Opcode::of("cuLinkDestroy") }, &LinkDestroy { id })
}
