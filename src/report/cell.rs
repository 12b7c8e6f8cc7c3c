//! What is counted together: jobs, and whose they are.

/// Some users.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Users {
    bits: Vec<u64>,
    /// Their number is told in multiples of it, if it is not 0.
    step: u64,
}

impl Users {
    /// Adds one.
    pub fn add(&mut self, user: u32) {
        let word = user as usize / 64;
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.bits[word] |= 1 << (user % 64);
    }

    /// Adds those.
    pub fn unite(&mut self, others: &Users) {
        if self.bits.len() < others.bits.len() {
            self.bits.resize(others.bits.len(), 0);
        }
        for (own, other) in self.bits.iter_mut().zip(&others.bits) {
            *own |= other;
        }
        self.step = self.step.max(others.step);
    }

    /// Tells their number in multiples of `step` from now on.
    pub fn round(&mut self, step: u64) {
        self.step = step;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        let count = self.bits.iter().map(|word| u64::from(word.count_ones())).sum();
        match self.step {
            0 => count,
            _ if count == 0 => 0,
            step => ((count + step / 2) / step * step).max(step),
        }
    }
}

/// Jobs, and whose they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    pub jobs: u64,
    pub users: Users,
    /// Nodes times milliseconds: whole numbers, whose sum does not depend on their order.
    node_millis: u128,
}

impl Cell {
    /// Adds some jobs of a user.
    pub fn add(&mut self, user: u32, jobs: u64, node_millis: u128) {
        self.jobs += jobs;
        self.node_millis += node_millis;
        self.users.add(user);
    }

    /// Nothing is in it any more; it keeps its room.
    pub fn clear(&mut self) {
        (self.jobs, self.node_millis, self.users.step) = (0, 0, 0);
        self.users.bits.clear();
    }

    /// Nodes times hours: approximate, because only the time between the first and the last that was heard of a job is known.
    pub fn node_hours(&self) -> f64 {
        self.node_millis as f64 / 3_600_000.0
    }

    /// Adds another one's.
    pub fn unite(&mut self, other: &Cell) {
        self.jobs += other.jobs;
        self.node_millis += other.node_millis;
        self.users.unite(&other.users);
    }
}

/// Classes of sizes: each begins at twice the nodes of the one before it.
pub fn class(nodes: u32) -> u32 {
    nodes.max(1).ilog2()
}
