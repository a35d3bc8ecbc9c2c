//! Authentication: challenges, credentials, and `Authentication-Info`.

use alloc::borrow::Cow;
use core::fmt;

use super::text::Text;
use super::{Header, known, scan::Scan};
use crate::chars::{Unfolded, ascii};
use crate::names::{CASELESS, Names, check_unique};
use crate::{Name, ValueError};

/// One `name=value` of an authentication header.
#[derive(Clone, Copy)]
pub struct AuthParam<'a> {
    name: &'a [u8],
    value: Text<'a>,
}

impl<'a> AuthParam<'a> {
    /// A parameter whose value is a token: `algorithm=MD5`.
    pub fn token(name: &'a str, value: &'a str) -> Result<Self, ValueError> {
        let name = known::own_token(name, "a parameter name")?;
        let value = Text::Wire(known::own_token(value, "a token")?);
        Ok(Self { name, value })
    }

    /// A parameter whose value is quoted, and escaped where needed: `realm="example.com"`.
    pub fn quoted(name: &'a str, value: &'a str) -> Result<Self, ValueError> {
        let name = known::own_token(name, "a parameter name")?;
        Ok(Self {
            name,
            value: Text::Plain(value),
        })
    }

    /// The name as written; case-insensitive.
    pub fn name(&self) -> &'a str {
        ascii(self.name)
    }

    /// The value without quotes and escapes.
    pub fn value(&self) -> Cow<'a, [u8]> {
        self.value.decode()
    }

    /// `auth-param`: a name, and a token or a quoted string (RFC 3261 §25.1).
    fn read(scan: &mut Scan<'a>) -> Result<Self, ValueError> {
        let name = scan.token("a parameter name")?;
        if !scan.separator(b'=') {
            return Err(scan.unexpected("'='"));
        }
        let value = if scan.peek() == Some(b'"') {
            scan.quoted()?
        } else {
            scan.token("a token or a quoted string")?
        };
        Ok(Self {
            name,
            value: Text::Wire(value),
        })
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

impl fmt::Display for AuthParam<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name(), self.value)
    }
}

/// Omits the value, which may be a secret.
impl fmt::Debug for AuthParam<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=***", self.name())
    }
}

/// The parameters of an authentication header.
#[derive(Clone, Copy)]
pub struct AuthParams<'a>(AuthParamSource<'a>);

#[derive(Clone, Copy)]
enum AuthParamSource<'a> {
    Wire(&'a [u8]),
    Parts(&'a [AuthParam<'a>]),
}

impl<'a> AuthParams<'a> {
    /// Parameters to be written. No two of them may have the same name.
    pub const fn of(parts: &'a [AuthParam<'a>]) -> Self {
        Self(AuthParamSource::Parts(parts))
    }

    /// Parameters separated by commas; a repeated name is an error.
    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        let mut names = Names::default();
        loop {
            let start = scan.at();
            let param = AuthParam::read(&mut scan)?;
            names.add(param.name, || {
                let all = Self(AuthParamSource::Wire(value));
                check_unique(value, all.iter().map(|param| param.name), CASELESS)
            })?;
            check(&param, start)?;
            if !scan.separator(b',') {
                break;
            }
        }
        scan.end()?;
        Ok(Self(AuthParamSource::Wire(value)))
    }

    /// The parameter of that name, whatever its case.
    pub fn get(&self, name: &str) -> Option<AuthParam<'a>> {
        self.iter().find(|param| param.is(name))
    }

    /// The value of the parameter of that name, without quotes and escapes.
    pub fn value(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        self.get(name).map(|param| param.value())
    }

    /// The parameters in their order.
    pub fn iter(&self) -> AuthParamsIter<'a> {
        AuthParamsIter(match self.0 {
            AuthParamSource::Wire(value) => AuthParamIter::Wire(Scan::new(value)),
            AuthParamSource::Parts(parts) => AuthParamIter::Parts(parts.iter()),
        })
    }
}

/// Checks the parameters of Digest that have a fixed form (RFC 3261 §25.1); all others may be token
/// or quoted.
fn check(param: &AuthParam<'_>, offset: usize) -> Result<(), ValueError> {
    let hex = |len: core::ops::RangeInclusive<usize>| {
        let value = param.value();
        len.contains(&value.len()) && value.iter().all(u8::is_ascii_hexdigit)
    };
    let expected = if param.is("nc") && !hex(8..=8) {
        "nc=8 hexadecimal digits"
    } else if param.is("response") && !hex(32..=usize::MAX) {
        "response=at least 32 hexadecimal digits"
    } else {
        return Ok(());
    };
    Err(ValueError::Unexpected {
        expected,
        found: param.value().first().copied(),
        offset,
    })
}

impl<'a> IntoIterator for AuthParams<'a> {
    type Item = AuthParam<'a>;
    type IntoIter = AuthParamsIter<'a>;

    fn into_iter(self) -> AuthParamsIter<'a> {
        self.iter()
    }
}

impl fmt::Display for AuthParams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, param) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            param.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for AuthParams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// An iterator over [`AuthParams`].
#[derive(Clone)]
pub struct AuthParamsIter<'a>(AuthParamIter<'a>);

#[derive(Clone)]
enum AuthParamIter<'a> {
    Wire(Scan<'a>),
    Parts(core::slice::Iter<'a, AuthParam<'a>>),
}

impl<'a> Iterator for AuthParamsIter<'a> {
    type Item = AuthParam<'a>;

    fn next(&mut self) -> Option<AuthParam<'a>> {
        match &mut self.0 {
            AuthParamIter::Wire(scan) => {
                let param = AuthParam::read(scan).ok()?;
                scan.separator(b',');
                Some(param)
            }
            AuthParamIter::Parts(parts) => parts.next().copied(),
        }
    }
}

impl fmt::Debug for AuthParamsIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// The part after the scheme.
#[derive(Clone, Copy)]
enum Rest<'a> {
    Params(AuthParams<'a>),
    /// Not a parameter list, as some schemes have it.
    Raw(&'a [u8]),
}

fn parse<'a>(value: &'a [u8]) -> Result<(&'a [u8], Rest<'a>), ValueError> {
    let mut scan = Scan::new(value);
    let scheme = scan.token("an authentication scheme")?;
    scan.gap()?;
    let rest = scan.rest();
    match AuthParams::parse(rest) {
        Ok(params) => Ok((scheme, Rest::Params(params))),
        Err(error) if scheme.eq_ignore_ascii_case(b"Digest") || rest.is_empty() => {
            Err(error.shifted(scan.at()))
        }
        Err(error)
            if rest
                .iter()
                .any(|&b| b.is_ascii_control() && !crate::chars::is_lws(b)) =>
        {
            Err(error.shifted(scan.at()))
        }
        Err(_) => Ok((scheme, Rest::Raw(rest))),
    }
}

macro_rules! schemes {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'a> {
            scheme: &'a [u8],
            rest: Rest<'a>,
        }

        impl<'a> $name<'a> {
            /// The header of this scheme with these parameters.
            pub fn new(scheme: &'a str, params: AuthParams<'a>) -> Result<Self, ValueError> {
                let scheme = known::own_token(scheme, "an authentication scheme")?;
                Ok(Self { scheme, rest: Rest::Params(params) })
            }

            /// The scheme as written; case-insensitive.
            pub fn scheme(&self) -> &'a str {
                ascii(self.scheme)
            }

            /// The parameters; none if [`raw`](Self::raw) has the part after the scheme.
            pub const fn params(&self) -> AuthParams<'a> {
                match self.rest {
                    Rest::Params(params) => params,
                    Rest::Raw(_) => AuthParams::of(&[]),
                }
            }

            /// The part after the scheme, if it is not a list of parameters.
            pub const fn raw(&self) -> Option<&'a [u8]> {
                match self.rest {
                    Rest::Params(_) => None,
                    Rest::Raw(rest) => Some(rest),
                }
            }
        }

        impl<'a> Header<'a> for $name<'a> {
            const NAME: Name = Name::$name;

            fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
                parse(value).map(|(scheme, rest)| Self { scheme, rest })
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.rest {
                    Rest::Params(params) => write!(f, "{} {params}", self.scheme()),
                    Rest::Raw(rest) => write!(f, "{} {}", self.scheme(), Unfolded(rest)),
                }
            }
        }

        /// Omits values, which may be secrets.
        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({}, {:?})", stringify!($name), self.scheme(), self.params())
            }
        }
    )+};
}

schemes! {
    /// `WWW-Authenticate`: a challenge (RFC 3261 §20.44).
    ///
    /// ```
    /// use sip_core::header::{AuthParam, AuthParams, Header, WwwAuthenticate};
    ///
    /// let challenge = WwwAuthenticate::parse(b"Digest realm=\"a\", nonce=\"b\", algorithm=MD5")?;
    /// assert_eq!(challenge.params().value("Realm").as_deref(), Some(&b"a"[..]));
    ///
    /// let params = [AuthParam::quoted("realm", "a")?, AuthParam::token("stale", "true")?];
    /// let challenge = WwwAuthenticate::new("Digest", AuthParams::of(&params))?;
    /// assert_eq!(challenge.to_string(), "Digest realm=\"a\", stale=true");
    /// # Ok::<(), sip_core::ValueError>(())
    /// ```
    WwwAuthenticate;
    /// `Proxy-Authenticate`: a challenge (RFC 3261 §20.27). Built like [`WwwAuthenticate`].
    ProxyAuthenticate;
    /// `Authorization`: credentials (RFC 3261 §20.7). Built like [`WwwAuthenticate`].
    Authorization;
    /// `Proxy-Authorization`: credentials (RFC 3261 §20.28). Built like [`WwwAuthenticate`].
    ProxyAuthorization;
}

/// `Authentication-Info`: the server's own authentication (RFC 3261 §20.6).
#[derive(Clone, Copy, Debug)]
pub struct AuthenticationInfo<'a>(AuthParams<'a>);

impl<'a> AuthenticationInfo<'a> {
    /// The header with these parameters.
    pub const fn new(params: AuthParams<'a>) -> Self {
        Self(params)
    }

    /// The parameters.
    pub const fn params(&self) -> AuthParams<'a> {
        self.0
    }
}

impl<'a> Header<'a> for AuthenticationInfo<'a> {
    const NAME: Name = Name::AuthenticationInfo;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        AuthParams::parse(value).map(Self)
    }
}

impl fmt::Display for AuthenticationInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
