/** `occtl -j show users` of ocserv 1.1.6, as it was printed. */
export const SHOW_USERS = `[
  {
    "ID":  25449,
    "Username":  "alice",
    "Groupname":  "grp1",
    "State":  "connected",
    "vhost":  "default",
    "Device":  "vpnt0",
    "MTU":  "1472",
    "Remote IP":  "10.99.0.2",
    "Location":  "unknown",
    "Local Device IP":  "10.99.0.1",
    "IPv4":  "10.200.63.50",
    "P-t-P IPv4":  "10.200.0.1",
    "User-Agent":  "Open AnyConnect VPN Agent v9.01-3",
    "DPD":  "60",
    "KeepAlive":  "300",
    "Hostname":  "vm",
    "Connected at":  "2026-11-23 10:04",
    "_Connected at":  "    1s",
    "Full session":  "j/ZFtnBH/r+RS2vuSmc4ulGX+hQ=",
    "Session":  "j/ZFtn",
    "TLS ciphersuite":  "(TLS1.2)-(ECDHE-SECP256R1)-(ECDSA-SHA256)-(AES-256-GCM)",
    "DNS":	["10.200.0.1"],
    "NBNS":	[],
    "Split-DNS-Domains":	[],
    "Routes":	["10.201.0.0/255.255.0.0"],
    "No-routes":	[],
    "iRoutes":	[],
    "Restricted to routes":  "False",
    "Restricted to ports":	[]
  }
]
`;

/** `occtl -j show sessions all` of ocserv 1.1.6, as it was printed: with a comma before a bracket. */
export const SHOW_SESSIONS_ALL = `[
  {
    "Session":  "j/ZFtn",
    "Full session":  "j/ZFtnBH/r+RS2vuSmc4ulGX+hQ=",
    "Created":  "2026-11-23 10:04",
    "State":  "authenticated",
    "Username":  "alice",
    "Groupname":  "grp1",
    "vhost":  "default",
    "User-Agent":  "Open AnyConnect VPN Agent v9.01-3",
    "Remote IP":  "10.99.0.2",
    "Location":  "unknown",
    "session_is_open":  1,
    "tls_auth_ok":  0,
    "in_use":  1,
  }
]
`;
