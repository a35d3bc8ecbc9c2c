//! `User-Agent` and `Server`: products and comments.

use core::fmt;

use super::{Header, scan::Scan};
use crate::chars::{Unfolded, ascii, is_lws};
use crate::{Name, ValueError};

/// One element of `User-Agent` or `Server` (RFC 3261 §25.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Product<'a> {
    /// A product with its version.
    Product {
        /// The name.
        name: &'a str,
        /// The version after the slash.
        version: Option<&'a str>,
    },
    /// A comment as received, with its parentheses.
    Comment(&'a [u8]),
}

/// The elements of `User-Agent` or `Server`.
#[derive(Clone)]
pub struct Products<'a>(Scan<'a>);

impl fmt::Debug for Products<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> Iterator for Products<'a> {
    type Item = Product<'a>;

    fn next(&mut self) -> Option<Product<'a>> {
        self.0.lws();
        self.0.peek()?;
        element(&mut self.0).ok()
    }
}

fn element<'a>(scan: &mut Scan<'a>) -> Result<Product<'a>, ValueError> {
    if scan.peek() == Some(b'(') {
        return comment(scan).map(Product::Comment);
    }
    let name = ascii(scan.token("a product or a comment")?);
    let version = if scan.separator(b'/') {
        Some(ascii(scan.token("a version")?))
    } else {
        None
    };
    Ok(Product::Product { name, version })
}

/// Reads a comment with its parentheses. Comments nest, to any depth: a counter is sufficient.
pub(super) fn comment<'a>(scan: &mut Scan<'a>) -> Result<&'a [u8], ValueError> {
    let start = scan.at();
    let mut depth = 0usize;
    loop {
        match scan.peek() {
            Some(b'(') => depth += 1,
            Some(b')') => depth -= 1,
            Some(b'\\') => {
                scan.go(scan.at() + 1);
                // RFC 3261 §25.1 quoted-pair: neither CR nor LF, and ASCII only.
                if scan
                    .peek()
                    .is_none_or(|byte| matches!(byte, b'\r' | b'\n' | 0x80..))
                {
                    return Err(scan.unexpected("a character that '\\' can quote"));
                }
            }
            Some(byte) if is_lws(byte) || !byte.is_ascii_control() => {}
            _ => return Err(scan.unexpected("')'")),
        }
        scan.go(scan.at() + 1);
        if depth == 0 {
            return Ok(scan.since(start));
        }
    }
}

macro_rules! products {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub struct $name<'a>(&'a [u8]);

        impl<'a> $name<'a> {
            /// The value from text: products and comments separated by white space.
            pub fn new(text: &'a str) -> Result<Self, ValueError> {
                Self::parse(text.as_bytes())
            }

            /// The products and comments in their order.
            pub fn products(&self) -> Products<'a> {
                Products(Scan::new(self.0))
            }
        }

        impl<'a> Header<'a> for $name<'a> {
            const NAME: Name = Name::$name;

            fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
                let mut scan = Scan::new(value);
                // Peers leave out the white space before a comment.
                element(&mut scan)?;
                while scan.end().is_err() {
                    element(&mut scan)?;
                }
                Ok(Self(value))
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for (i, product) in self.products().enumerate() {
                    if i > 0 {
                        f.write_str(" ")?;
                    }
                    product.fmt(f)?;
                }
                Ok(())
            }
        }
    )+};
}

impl fmt::Display for Product<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Product {
                name,
                version: None,
            } => f.write_str(name),
            Self::Product {
                name,
                version: Some(version),
            } => write!(f, "{name}/{version}"),
            Self::Comment(comment) => Unfolded(comment).fmt(f),
        }
    }
}

products! {
    /// `User-Agent` (RFC 3261 §20.41).
    UserAgent;
    /// `Server` (RFC 3261 §20.35).
    Server;
}
