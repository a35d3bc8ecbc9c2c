//! `uri-parameters` of RFC 3261 §25.1; also those of `tel` URIs.

use core::fmt;

use super::compare::{PERCENT_ENCODED, same_text};
use crate::chars::{self, URI_PARAM, ascii, escaped_rest, escaped_run, is_keyword, run};
use crate::names::{Names, check_unique};
use crate::{Host, ValueError};

/// One parameter of a URI.
#[derive(Clone, Copy, Debug)]
pub struct UriParam<'a> {
    name: &'a str,
    value: Option<&'a str>,
}

impl<'a> UriParam<'a> {
    /// A parameter with a value. Both stand in the URI as given: what may not stand there as it is
    /// must be escaped before ([`escape::param`](super::escape::param)).
    pub fn new(name: &'a str, value: &'a str) -> Result<Self, ValueError> {
        all_paramchars(value, "a parameter value")?;
        check(name.as_bytes(), Some(value.as_bytes()), 0)?;
        Ok(Self {
            value: Some(value),
            ..Self::flag(name)?
        })
    }

    /// A parameter without a value, such as `lr`.
    pub fn flag(name: &'a str) -> Result<Self, ValueError> {
        all_paramchars(name, "a parameter name")?;
        Ok(Self { name, value: None })
    }

    /// The name, as it was written. Names are compared without regard to case.
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// The value as it was written, escapes included.
    pub const fn value(&self) -> Option<&'a str> {
        self.value
    }
}

fn all_paramchars(text: &str, what: &'static str) -> Result<(), ValueError> {
    match escaped_run::<URI_PARAM>(text.as_bytes(), 0) {
        end if end > 0 && end == text.len() => Ok(()),
        end => Err(ValueError::unexpected(what, text.as_bytes(), end)),
    }
}

impl fmt::Display for UriParam<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        match self.value {
            Some(value) => write!(f, "={value}"),
            None => Ok(()),
        }
    }
}

/// The parameters of a URI: `;transport=tcp;lr`.
///
/// Either a view of received text, which was checked wholly, or parts to be written.
#[derive(Clone, Copy)]
pub struct UriParams<'a>(UriParamSource<'a>);

#[derive(Clone, Copy)]
enum UriParamSource<'a> {
    Text(&'a [u8]),
    Parts(&'a [UriParam<'a>]),
}

impl<'a> UriParams<'a> {
    /// No parameters.
    pub const EMPTY: Self = Self(UriParamSource::Text(&[]));

    /// Parameters to be written. No two of them may have the same name.
    pub const fn of(parts: &'a [UriParam<'a>]) -> Self {
        Self(UriParamSource::Parts(parts))
    }

    /// Parses the parameters that stand at `at`, and tells where they end.
    ///
    /// White space, an empty parameter, an empty value, a name that comes twice (RFC 3261 §19.1.1)
    /// and more than 128 parameters are errors.
    #[inline(always)]
    pub(super) fn parse_at(text: &'a [u8], at: usize) -> Result<(Self, usize), ValueError> {
        let mut names = Names::default();
        let mut end = at;
        while let Some(step) = next(text, end)? {
            let start = end + 1;
            let check_all = || {
                let all = UriParamSteps { text, at };
                check_unique(text, all.map(|step| step.name), PERCENT_ENCODED)
            };
            names.add(step.name, check_all)?;
            if step.is_escaped {
                // Its equals may be written differently.
                names.check(check_all)?;
            }
            check(step.name, step.value, start)?;
            end = step.end;
        }
        Ok((
            Self(UriParamSource::Text(text.get(at..end).unwrap_or_default())),
            end,
        ))
    }

    /// The parameter of that name, whatever its case. Escapes in names are taken out first.
    pub fn get(&self, name: &str) -> Option<UriParam<'a>> {
        self.iter()
            .find(|param| same_text(param.name.as_bytes(), name.as_bytes()))
    }

    /// The value of the parameter of that name, if it is there and has one.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.value
    }

    /// Returns true if there is a parameter of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Returns true if there are no parameters.
    pub const fn is_empty(&self) -> bool {
        match self.0 {
            UriParamSource::Text(text) => text.is_empty(),
            UriParamSource::Parts(parts) => parts.is_empty(),
        }
    }

    /// The parameters in the order they were written.
    pub fn iter(&self) -> UriParamsIter<'a> {
        UriParamsIter(match self.0 {
            UriParamSource::Text(text) => UriParamIter::Text(UriParamSteps { text, at: 0 }),
            UriParamSource::Parts(parts) => UriParamIter::Parts(parts.iter()),
        })
    }
}

impl Default for UriParams<'_> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<'a> IntoIterator for UriParams<'a> {
    type Item = UriParam<'a>;
    type IntoIter = UriParamsIter<'a>;

    fn into_iter(self) -> UriParamsIter<'a> {
        self.iter()
    }
}

impl fmt::Display for UriParams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|param| write!(f, ";{param}"))
    }
}

impl fmt::Debug for UriParams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UriParams({self})")
    }
}

/// Iterates over [`UriParams`].
#[derive(Clone, Debug)]
pub struct UriParamsIter<'a>(UriParamIter<'a>);

#[derive(Clone, Debug)]
enum UriParamIter<'a> {
    Text(UriParamSteps<'a>),
    Parts(core::slice::Iter<'a, UriParam<'a>>),
}

impl<'a> Iterator for UriParamsIter<'a> {
    type Item = UriParam<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<UriParam<'a>> {
        match &mut self.0 {
            UriParamIter::Text(steps) => steps.next().map(|s| UriParam {
                name: ascii(s.name),
                value: s.value.map(ascii),
            }),
            UriParamIter::Parts(parts) => parts.next().copied(),
        }
    }
}

struct UriParamStep<'a> {
    name: &'a [u8],
    is_escaped: bool,
    value: Option<&'a [u8]>,
    end: usize,
}

/// One `";" pname ["=" pvalue]`; `None` where no semicolon stands.
#[inline]
fn next(text: &[u8], at: usize) -> Result<Option<UriParamStep<'_>>, ValueError> {
    if text.get(at) != Some(&b';') {
        return Ok(None);
    }
    let plain = run::<URI_PARAM>(text, at + 1);
    let end = escaped_rest::<URI_PARAM>(text, plain);
    let is_escaped = end > plain;
    let Some(name @ [_, ..]) = text.get(at + 1..end) else {
        return Err(ValueError::unexpected("a URI parameter name", text, at + 1));
    };
    if text.get(end) != Some(&b'=') {
        return Ok(Some(UriParamStep {
            name,
            is_escaped,
            value: None,
            end,
        }));
    }
    let from = end + 1;
    let end = escaped_run::<URI_PARAM>(text, from);
    match text.get(from..end) {
        Some(value @ [_, ..]) => Ok(Some(UriParamStep {
            name,
            is_escaped,
            value: Some(value),
            end,
        })),
        _ => Err(ValueError::unexpected("a URI parameter value", text, from)),
    }
}

/// The parameters with a grammar of their own that sending depends on.
#[inline]
fn check(name: &[u8], value: Option<&[u8]>, start: usize) -> Result<(), ValueError> {
    if is_keyword(name, b"ttl") {
        check_ttl(value.unwrap_or_default()).map_err(|error| error.shifted(start + 4))
    } else if is_keyword(name, b"maddr") {
        check_maddr(value.unwrap_or_default()).map_err(|error| error.shifted(start + 6))
    } else {
        Ok(())
    }
}

fn check_ttl(value: &[u8]) -> Result<(), ValueError> {
    // RFC 3261 §25.1 ttl: 1*3DIGIT, 0 to 255.
    let (_, end) = chars::number(value, 0, 255, "ttl")?;
    if end < value.len() || end > 3 {
        return Err(ValueError::unexpected(
            "one to three digits",
            value,
            end.min(3),
        ));
    }
    Ok(())
}

fn check_maddr(value: &[u8]) -> Result<(), ValueError> {
    let (_, end) = Host::parse(value)?;
    if end < value.len() {
        return Err(ValueError::unexpected("the end of a host", value, end));
    }
    Ok(())
}

/// Steps over text that was checked before: what fails then can only be the end.
#[derive(Clone, Debug)]
struct UriParamSteps<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Iterator for UriParamSteps<'a> {
    type Item = UriParamStep<'a>;

    fn next(&mut self) -> Option<UriParamStep<'a>> {
        let step = next(self.text, self.at).ok().flatten()?;
        self.at = step.end;
        Some(step)
    }
}
