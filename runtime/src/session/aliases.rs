//! What the peer's aliases stand for.

use farref_proto::ExportId;

/// Things by the alias that the peer chose for them: a short list in order, since every call of a named object looks
/// here and a peer cannot make it slow by its choice of aliases.
#[derive(Debug)]
pub(super) struct Aliases<T>(Vec<(ExportId, T)>);

impl<T> Default for Aliases<T> {
    fn default() -> Self {
        Aliases(Vec::new())
    }
}

impl<T> Aliases<T> {
    fn place(&self, alias: ExportId) -> Result<usize, usize> {
        self.0
            .binary_search_by_key(&alias.index(), |(known, _)| known.index())
    }

    pub(super) fn get(&self, alias: ExportId) -> Option<&T> {
        let place = self.place(alias).ok()?;
        Some(&self.0[place].1)
    }

    pub(super) fn insert(&mut self, alias: ExportId, value: T) {
        match self.place(alias) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => {
                // Most peers ask for one name.
                if self.0.is_empty() {
                    self.0.reserve_exact(1);
                }
                self.0.insert(place, (alias, value));
            }
        }
    }

    pub(super) fn remove(&mut self, alias: ExportId) -> Option<T> {
        let place = self.place(alias).ok()?;
        Some(self.0.remove(place).1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (ExportId, &mut T)> {
        self.0.iter_mut().map(|(alias, value)| (*alias, value))
    }

    /// Takes all of them out.
    pub(super) fn take(&mut self) -> impl Iterator<Item = T> {
        std::mem::take(&mut self.0)
            .into_iter()
            .map(|(_, value)| value)
    }
}
