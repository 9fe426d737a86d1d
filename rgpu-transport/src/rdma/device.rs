//! Which device, port and address to use, and the device once opened.

use std::ffi::CStr;
use std::io;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::sync::Arc;

use super::sys;
use super::sys::bindings::*;

/// An opened device and a protection domain on it.
pub(super) struct Device {
    pub(super) verbs: &'static Verbs,
    context: *mut ibv_context,
    domain: *mut ibv_pd,
    name: String,
}

// SAFETY: verbs are made for threads: contexts and domains may be used from all of them (ibv_open_device(3) and
// Documentation/libibverbs.md of rdma-core).
unsafe impl Send for Device {}
// SAFETY: as above.
unsafe impl Sync for Device {}

/// A port of a device, and this side's address at it.
#[derive(Clone)]
pub(super) struct Port {
    pub(super) device: Arc<Device>,
    pub(super) number: u8,
    pub(super) gid_index: u8,
    pub(super) gid: [u8; 16],
    pub(super) lid: u16,
    pub(super) mtu: ibv_mtu,
}

/// Most addresses of a device that are looked at.
const MOST_GIDS: usize = 1024;

impl Port {
    /// The port that reaches others as `local` does. Where none has that address, as with a loopback or an InfiniBand
    /// fabric beside the Ethernet, the best of those in use.
    pub(super) fn choose(local: IpAddr) -> io::Result<Self> {
        let mut best: Option<(u32, Self)> = None;
        let devices = Device::all()?;
        let names: Vec<_> = devices.iter().map(|device| device.name.clone()).collect();
        for device in devices {
            // One that cannot be asked keeps no other from being used.
            for (rank, port) in device.ports(local).unwrap_or_default() {
                if best.as_ref().is_none_or(|(other, _)| rank < *other) {
                    best = Some((rank, port));
                }
            }
        }
        best.map(|(_, port)| port).ok_or_else(|| {
            let found = match names.len() {
                0 => "this host has no RDMA device (`ibv_devices` lists them)".to_owned(),
                _ => format!(
                    "no port of {} is up and has an address (`ibv_devinfo -v` shows them)",
                    names.join(", ")
                ),
            };
            io::Error::new(
                io::ErrorKind::Unsupported,
                format!("{found}; tcp://HOST:PORT works without"),
            )
        })
    }

    /// The device's name and the port.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.device.name, self.number)
    }
}

impl Device {
    /// All devices that can be opened.
    fn all() -> io::Result<Vec<Arc<Self>>> {
        let verbs = sys::verbs()?;
        let mut count = 0;
        // SAFETY: `count` is live.
        let list = unsafe { verbs.ibv_get_device_list(&raw mut count) };
        // A kernel without any support of RDMA answers ENOSYS: no devices.
        if list.is_null() {
            return Ok(Vec::new());
        }
        let devices = (0..usize::try_from(count).unwrap_or(0))
            // SAFETY: the list holds `count` devices, which live until it is freed.
            .map(|at| unsafe { *list.add(at) })
            // iWARP makes its connections in another way.
            // SAFETY: as above.
            .filter(|device| unsafe { (**device).transport_type } == IBV_TRANSPORT_IB)
            .filter_map(|device| Self::open(verbs, device).ok())
            .map(Arc::new)
            .collect();
        // SAFETY: the list comes from ibv_get_device_list; opened devices outlive it.
        unsafe { verbs.ibv_free_device_list(list) };
        Ok(devices)
    }

    fn open(verbs: &'static Verbs, device: *mut ibv_device) -> io::Result<Self> {
        // SAFETY: the device is in a list that was not freed; its name is a string.
        let name = unsafe { CStr::from_ptr(verbs.ibv_get_device_name(device)) };
        let name = name.to_string_lossy().into_owned();
        // SAFETY: as above.
        let context = sys::made("cannot open the device", unsafe {
            verbs.ibv_open_device(device)
        })?;
        // SAFETY: the context was just opened.
        let domain = unsafe { verbs.ibv_alloc_pd(context) };
        match sys::made("no protection domain", domain) {
            Ok(domain) => Ok(Self {
                verbs,
                context,
                domain,
                name,
            }),
            Err(error) => {
                // SAFETY: nothing was made of it.
                unsafe { verbs.ibv_close_device(context) };
                Err(error)
            }
        }
    }

    /// Usable addresses at ports that are up; the lower the number, the better.
    fn ports(self: &Arc<Self>, local: IpAddr) -> io::Result<Vec<(u32, Port)>> {
        let local = mapped(local);
        let mut ports = Vec::new();
        for entry in self.gids()? {
            let (Ok(number), Ok(gid_index)) =
                (u8::try_from(entry.port_num), u8::try_from(entry.gid_index))
            else {
                continue;
            };
            // SAFETY: both members of the union are 16 bytes without meaning of their own.
            let gid = unsafe { entry.gid.raw };
            let Some(rank) = rank(entry.gid_type, &gid, local) else {
                continue;
            };
            let attributes = self.port(number)?;
            if attributes.state != IBV_PORT_ACTIVE {
                continue;
            }
            let port = Port {
                device: Arc::clone(self),
                number,
                gid_index,
                gid,
                lid: attributes.lid,
                mtu: attributes.active_mtu,
            };
            ports.push((rank, port));
        }
        Ok(ports)
    }

    fn gids(&self) -> io::Result<Vec<ibv_gid_entry>> {
        // SAFETY: numbers only, for which zero is a value.
        let none: ibv_gid_entry = unsafe { std::mem::zeroed() };
        let mut entries = vec![none; MOST_GIDS];
        // SAFETY: the context is open; there is room for as many entries of that size as is said.
        let count = unsafe {
            self.verbs._ibv_query_gid_table(
                self.context,
                entries.as_mut_ptr(),
                entries.len(),
                0,
                size_of::<ibv_gid_entry>(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            return Err(sys::of(count as i32));
        };
        entries.truncate(count);
        Ok(entries)
    }

    fn port(&self, number: u8) -> io::Result<ibv_port_attr> {
        // SAFETY: numbers only, for which zero is a value.
        let mut attributes: ibv_port_attr = unsafe { std::mem::zeroed() };
        // SAFETY: the context is open. The exported function fills in the beginning of the structure, as verbs.h has it
        // do for providers of old; the rest is zero.
        let error = unsafe {
            self.verbs
                .ibv_query_port(self.context, number, (&raw mut attributes).cast())
        };
        sys::check("cannot query the port", error)?;
        Ok(attributes)
    }

    pub(super) const fn context(&self) -> *mut ibv_context {
        self.context
    }

    pub(super) const fn domain(&self) -> *mut ibv_pd {
        self.domain
    }

    /// Descriptors that a forked child has to close.
    pub(super) fn descriptors(&self) -> [RawFd; 2] {
        // SAFETY: the context is open.
        unsafe { [(*self.context).cmd_fd, (*self.context).async_fd] }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: whatever was made in them keeps the device alive, so nothing is left.
        unsafe {
            self.verbs.ibv_dealloc_pd(self.domain);
            self.verbs.ibv_close_device(self.context);
        }
    }
}

/// An address as a GID: RoCE writes IPv4 as IPv6 does.
fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// How good an address is, `None` where it is of no use. RoCE of version 1 does not pass routers, and whoever has it has
/// version 2.
fn rank(kind: u32, gid: &[u8; 16], local: [u8; 16]) -> Option<u32> {
    if *gid == [0; 16] {
        return None;
    }
    let v4 = gid[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    let link_local = gid[..8] == [0xfe, 0x80, 0, 0, 0, 0, 0, 0];
    match kind {
        _ if kind == IBV_GID_TYPE_ROCE_V1 => None,
        _ if local == *gid => Some(0),
        _ if kind == IBV_GID_TYPE_IB => Some(1),
        _ if v4 => Some(2),
        _ if !link_local => Some(3),
        _ => Some(4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_socket_is_the_best() {
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        let v6: IpAddr = "fd00:2::1".parse().unwrap();
        let link: IpAddr = "fe80::1".parse().unwrap();
        let order = |local: IpAddr| {
            let mut all = [v4, v6, link];
            all.sort_by_key(|gid| rank(IBV_GID_TYPE_ROCE_V2, &mapped(*gid), mapped(local)));
            all
        };
        assert_eq!(order("127.0.0.1".parse().unwrap()), [v4, v6, link]);
        assert_eq!(order(v6), [v6, v4, link]);
        assert_eq!(order(link), [link, v4, v6]);
        let (v4, none) = (mapped(v4), [0; 16]);
        assert_eq!(rank(IBV_GID_TYPE_ROCE_V1, &v4, v4), None);
        assert_eq!(rank(IBV_GID_TYPE_ROCE_V2, &none, none), None);
    }
}
