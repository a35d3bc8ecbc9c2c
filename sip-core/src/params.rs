//! `generic-param` lists of header fields (RFC 3261 §25.1). URI parameters are in `uri`.

use alloc::borrow::Cow;
use core::fmt;

use crate::chars::{LOOSE_VALUE, TOKEN, Unfolded, ascii, is_lws, run, skip_lws};
use crate::names::{CASELESS, MAX_PARAMS, Names, check_unique, too_many};
use crate::{Host, ValueError, host, quoted};

/// One parameter of a header field.
#[derive(Clone, Copy, Debug)]
pub struct Param<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: Option<&'a [u8]>,
}

impl<'a> Param<'a> {
    /// A parameter with a value: a token, a host, or a quoted string (see [`quote`](crate::quote)).
    pub fn new(name: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Result<Self, ValueError> {
        let value = value.as_ref();
        let end = value_end(value, 0, name.as_bytes())?;
        if end < value.len() {
            return Err(ValueError::unexpected("the end of the value", value, end));
        }
        Ok(Self {
            value: Some(value),
            ..Self::flag(name)?
        })
    }

    /// A parameter without a value.
    pub fn flag(name: &'a str) -> Result<Self, ValueError> {
        match run::<TOKEN>(name.as_bytes(), 0) {
            end if end > 0 && end == name.len() => Ok(Self { name, value: None }),
            end => Err(ValueError::unexpected(
                "a parameter name",
                name.as_bytes(),
                end,
            )),
        }
    }

    /// The name, as it was written. Names are compared without regard to case.
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// The value as it was written, quotes included.
    pub const fn value(&self) -> Option<&'a [u8]> {
        self.value
    }

    /// The value without quotes and backslashes.
    pub fn unquoted(&self) -> Option<Cow<'a, [u8]>> {
        self.value.map(quoted::unquote)
    }
}

impl fmt::Display for Param<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        match self.value {
            Some(value) => write!(f, "={}", Unfolded(value)),
            None => Ok(()),
        }
    }
}

/// The parameters of a header field: `;name=value;flag;name="quoted"`.
///
/// Either a view of received text, which was read to its end, or parts to be written. Those of
/// [`Message::top_via`](crate::Message::top_via) may hold what the grammar does not know, an empty
/// value for one.
///
/// ```
/// use sip_core::{Param, Params};
///
/// let params = Params::parse(b";tag=1928301774 ; Note = \"a;b\";lr")?;
/// assert_eq!(params.value("TAG"), Some(&b"1928301774"[..]));
/// assert!(params.contains("lr"));
/// assert_eq!(params.to_string(), ";tag=1928301774;Note=\"a;b\";lr");
///
/// let parts = [Param::new("expires", "60")?, Param::flag("ob")?];
/// assert_eq!(Params::of(&parts).to_string(), ";expires=60;ob");
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Params<'a>(ParamSource<'a>);

#[derive(Clone, Copy)]
enum ParamSource<'a> {
    Text(&'a [u8]),
    Parts(&'a [Param<'a>]),
}

impl<'a> Params<'a> {
    /// No parameters.
    pub const EMPTY: Self = Self(ParamSource::Text(&[]));

    /// Parses a list of parameters, each with its semicolon.
    ///
    /// White space may stand around `;` and `=`. Values are tokens, hosts or quoted strings; a
    /// bare IPv6 address is one only for `received` (RFC 3261 §25.1). An empty parameter, an empty
    /// value, a name that comes twice and more than 128 parameters are errors.
    pub fn parse(text: &'a [u8]) -> Result<Self, ValueError> {
        Self::walk(text, 0, |_, _, _| Ok(()))
    }

    /// Text that was parsed before.
    pub(crate) const fn checked(text: &'a [u8]) -> Self {
        Self(ParamSource::Text(text))
    }

    /// The text that these were parsed from.
    pub(crate) const fn text(&self) -> Option<&'a [u8]> {
        match self.0 {
            ParamSource::Text(text) => Some(text),
            ParamSource::Parts(_) => None,
        }
    }

    /// Parameters to be written. No two of them may have the same name.
    pub const fn of(parts: &'a [Param<'a>]) -> Self {
        Self(ParamSource::Parts(parts))
    }

    /// Parses the parameters from `offset` to the end of `value`, and hands name, value and the
    /// place of each to `each`, so that a header picks its own in the same pass.
    #[inline]
    pub(crate) fn walk(
        value: &'a [u8],
        offset: usize,
        mut each: impl FnMut(&'a [u8], Option<&'a [u8]>, usize) -> Result<(), ValueError>,
    ) -> Result<Self, ValueError> {
        let mut names = Names::default();
        let mut at = offset;
        while let Some(step) = step(value, at)? {
            let ParamStep { name, start, .. } = step;
            names.add(name, || {
                let all = ParamSteps {
                    text: value,
                    at: offset,
                };
                check_unique(value, all.map(|step| step.name), CASELESS)
            })?;
            each(name, step.value, start)?;
            at = step.end;
        }
        Ok(Self(ParamSource::Text(
            value.get(offset..).unwrap_or_default(),
        )))
    }

    /// [`Params::walk`] with what peers write besides: empty parameters and values, values of any
    /// visible characters but `; , " < >`, and a name that comes twice, which is for `each` to judge.
    pub(crate) fn walk_loosely(
        value: &'a [u8],
        offset: usize,
        mut each: impl FnMut(&'a [u8], Option<&'a [u8]>, usize) -> Result<(), ValueError>,
    ) -> Result<Self, ValueError> {
        let mut at = offset;
        let mut count = 0;
        while let Some(step) = loose_step(value, at)? {
            if count == MAX_PARAMS {
                return Err(too_many(step.start));
            }
            count += 1;
            each(step.name, step.value, step.start)?;
            at = step.end;
        }
        Ok(Self(ParamSource::Text(
            value.get(offset..).unwrap_or_default(),
        )))
    }

    /// The parameter of that name, whatever its case.
    pub fn get(&self, name: &str) -> Option<Param<'a>> {
        self.iter()
            .find(|param| param.name.eq_ignore_ascii_case(name))
    }

    /// The value of the parameter of that name as it was written, if it is there and has one.
    pub fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.get(name)?.value
    }

    /// Returns true if there is a parameter of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Returns true if there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The parameters in the order they were written.
    pub fn iter(&self) -> ParamsIter<'a> {
        ParamsIter(match self.0 {
            ParamSource::Text(text) => ParamIter::Text(ParamSteps { text, at: 0 }),
            ParamSource::Parts(parts) => ParamIter::Parts(parts.iter()),
        })
    }
}

impl Default for Params<'_> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<'a> IntoIterator for Params<'a> {
    type Item = Param<'a>;
    type IntoIter = ParamsIter<'a>;

    fn into_iter(self) -> ParamsIter<'a> {
        self.iter()
    }
}

impl fmt::Display for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|param| write!(f, ";{param}"))
    }
}

impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Params({self})")
    }
}

/// Iterates over [`Params`].
#[derive(Clone, Debug)]
pub struct ParamsIter<'a>(ParamIter<'a>);

#[derive(Clone, Debug)]
enum ParamIter<'a> {
    Text(ParamSteps<'a>),
    Parts(core::slice::Iter<'a, Param<'a>>),
}

impl<'a> Iterator for ParamsIter<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        match &mut self.0 {
            ParamIter::Text(steps) => steps.next().map(|step| Param {
                name: ascii(step.name),
                value: step.value,
            }),
            ParamIter::Parts(parts) => parts.next().copied(),
        }
    }
}

struct ParamStep<'a> {
    name: &'a [u8],
    value: Option<&'a [u8]>,
    start: usize,
    end: usize,
}

/// One `SWS ";" SWS name [SWS "=" SWS value]`; `None` at the end of the text.
#[inline(always)]
fn step(text: &[u8], at: usize) -> Result<Option<ParamStep<'_>>, ValueError> {
    // Nearly all parameters are written without white space: see to those first.
    let Some(&first) = text.get(at) else {
        return Ok(None);
    };
    let mut start = at + 1;
    if first != b';' || text.get(start).is_some_and(|&b| is_lws(b)) {
        start = match first_name(text, at)? {
            Some(start) => start,
            None => return Ok(None),
        };
    }
    let end = run::<TOKEN>(text, start);
    let Some(name @ [_, ..]) = text.get(start..end) else {
        return Err(ValueError::unexpected("a parameter name", text, start));
    };
    let from = match text.get(end) {
        None | Some(b';') => None,
        Some(b'=') => Some(end + 1),
        _ => behind_equals(text, end),
    };
    let Some(mut from) = from else {
        return Ok(Some(ParamStep {
            name,
            value: None,
            start,
            end,
        }));
    };
    let mut end = run::<TOKEN>(text, from);
    if end == from || !matches!(text.get(end), None | Some(b';')) {
        from = skip_lws(text, from);
        end = value_end(text, from, name)?;
    }
    Ok(Some(ParamStep {
        name,
        value: text.get(from..end),
        start,
        end,
    }))
}

/// The same with what peers write besides. What [`step`] reads to its end reads the same here.
#[inline(always)]
fn loose_step(text: &[u8], at: usize) -> Result<Option<ParamStep<'_>>, ValueError> {
    let mut start = at;
    // Nearly all parameters are written without white space: see to those first.
    if text.get(at) != Some(&b';') {
        start = skip_lws(text, at);
        if !is_end(text, start) {
            return Err(ValueError::unexpected("';'", text, start));
        }
    }
    while text.get(start) == Some(&b';') {
        start = skip_lws(text, start + 1);
    }
    if start >= text.len() {
        return Ok(None);
    }
    let mut end = run::<TOKEN>(text, start);
    let Some(name @ [_, ..]) = text.get(start..end) else {
        return Err(ValueError::unexpected("a parameter name", text, start));
    };
    let from = match text.get(end) {
        None | Some(b';') => None,
        Some(b'=') => Some(end + 1),
        _ => behind_equals(text, end),
    };
    let mut value = None;
    if let Some(from) = from {
        let from = skip_lws(text, from);
        end = match text.get(from) {
            Some(b'"') => quoted::scan(text, from)?,
            _ => run::<LOOSE_VALUE>(text, from),
        };
        value = text.get(from..end);
    }
    if !is_end(text, end) {
        return Err(ValueError::unexpected("';'", text, skip_lws(text, end)));
    }
    Ok(Some(ParamStep {
        name,
        value,
        start,
        end,
    }))
}

/// Whether a parameter may end at `at`.
#[inline]
fn is_end(text: &[u8], at: usize) -> bool {
    match text.get(at) {
        None | Some(b';') => true,
        Some(_) => matches!(text.get(skip_lws(text, at)), None | Some(b';')),
    }
}

/// Where a parameter's name starts that has white space around its semicolon.
#[cold]
fn first_name(text: &[u8], at: usize) -> Result<Option<usize>, ValueError> {
    let semicolon = skip_lws(text, at);
    match text.get(semicolon) {
        None => Ok(None),
        Some(b';') => Ok(Some(skip_lws(text, semicolon + 1))),
        Some(_) => Err(ValueError::unexpected("';'", text, semicolon)),
    }
}

/// Where the text behind the equals sign starts, if there is one behind white space.
#[cold]
fn behind_equals(text: &[u8], at: usize) -> Option<usize> {
    let equals = skip_lws(text, at);
    (text.get(equals) == Some(&b'=')).then_some(equals + 1)
}

/// The end of the `gen-value` at `at`.
#[inline(never)]
fn value_end(text: &[u8], at: usize, name: &[u8]) -> Result<usize, ValueError> {
    let end = run::<TOKEN>(text, at);
    if end > at && text.get(end) != Some(&b':') {
        Ok(end)
    } else {
        no_token_end(text, at, end, name)
    }
}

#[inline(never)]
fn no_token_end(text: &[u8], at: usize, end: usize, name: &[u8]) -> Result<usize, ValueError> {
    match text.get(end) {
        Some(b':') if name.eq_ignore_ascii_case(b"received") => bare_ipv6_end(text, at),
        _ if end > at => Ok(end),
        Some(b'"') => quoted::scan(text, at),
        Some(b'[') => {
            let tail = text.get(at..).unwrap_or_default();
            Host::parse(tail)
                .map(|(_, len)| at + len)
                .map_err(|error| error.shifted(at))
        }
        _ => Err(ValueError::unexpected(
            "a token, host or quoted string",
            text,
            at,
        )),
    }
}

/// RFC 3261 §25.1 via-received: the one place for an IPv6 address without brackets.
fn bare_ipv6_end(text: &[u8], at: usize) -> Result<usize, ValueError> {
    let tail = text.get(at..).unwrap_or_default();
    let is_part = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    let len = tail.iter().take_while(|b| is_part(b)).count();
    match host::ipv6(tail.get(..len).unwrap_or_default()) {
        Some(_) => Ok(at + len),
        None => Err(ValueError::unexpected("an IPv6 address", text, at)),
    }
}

/// Steps over text that was walked over before: what fails then can only be the end.
#[derive(Clone, Debug)]
struct ParamSteps<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Iterator for ParamSteps<'a> {
    type Item = ParamStep<'a>;

    fn next(&mut self) -> Option<ParamStep<'a>> {
        let step = loose_step(self.text, self.at).ok().flatten()?;
        self.at = step.end;
        Some(step)
    }
}
