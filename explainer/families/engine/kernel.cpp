// Exact interventional Shapley values of tree ensembles; what exact.py explains, in C++17.
//
// The caller (kernel.py) hands over arrays that forest.Trees has checked: every child exists, every
// node is reached once, every column and every place in a table exists. Nothing is checked again.
//
// This file includes itself once per instruction set. All variants run the same additions in the
// same order (no fused multiply-add, no reordering: compile with -ffp-contract=off and never with
// -ffast-math), so that a value does not depend on the machine's vectors.

#ifndef WARUM_BODY

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <unordered_map>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#define WARUM_INLINE static inline __attribute__((always_inline))

namespace {

constexpr int LANES = 16;        // cases looked at together
// Words of 64 comparison rows each: a block of rows in the walk, where they are many and where a
// sample is small enough for the fewer.
constexpr int MANY = 16, FEW = 2;
constexpr uint32_t MERGED = 11;  // bits of the largest table that leaves share
constexpr int ROW = 4;           // rows of tables are filled up to a multiple of this
constexpr int MOST_COUNTED = 13; // players beside the last one on a path that is counted
constexpr int LISTED = 11;       // of them: their subsets are listed beforehand
constexpr int PARTS = 4;         // tallies kept side by side while rows are counted
constexpr uint32_t AHEAD = 8;    // how many counts further on is fetched from memory

// One test of a tree: left where low <= code <= low + span, or where the table says so.
struct Test {
  int32_t column, low;
  uint32_t span;
  int32_t lut;  // -1: a test of numbers
};

// Part of a pattern: registers are bits, one per player on the path that fails.
struct Step {
  Test test;
  int32_t from;         // -1: set bit `shift` of `left` where the test goes left
  int32_t left, right;  // registers of the children, which get `from` and the bit of who fails
  uint32_t shift;
};

// A subtree whose leaves share one table: a row per pattern, a column per player.
struct Group {
  uint64_t table;  // first double
  uint32_t stride, width, bits;
  uint32_t player;  // first of `width` entries in `players`
};

// Trees whose tables fit the cache together.
struct Tile {
  uint32_t step, steps, group, groups, registers;
};

// A leaf while its table is made.
struct Edge {
  uint32_t bit, wants, slot;
};
struct Ending {
  uint32_t group;
  double value;
  uint32_t path, slots;         // players on the path to the group, and to the leaf
  uint32_t edge, edges;         // tests inside the group
  uint32_t column;              // first of slots - path entries in `columns`
};

// A node of the walk; a leaf has column -1.
struct Node {
  Test test;
  int32_t left, right;  // -1: nothing to look for there
  double value;
  int16_t slot, player;
  bool fresh;
};

struct Tables {
  std::vector<Step> steps;
  std::vector<Group> groups;
  std::vector<Tile> tiles;
  std::vector<int32_t> players;
  double* table = nullptr;
  uint64_t size = 0;
  ~Tables() { std::free(table); }
};

struct Block {
  std::vector<uint64_t> bits;     // the walk's words per distinct test: rows that go left
  std::vector<int32_t> of_node;   // which of them a node asks
  uint64_t all[MANY];
  std::vector<double> weight;     // of each row, where rows are weighted
  int32_t rows;
};

struct Walk {
  std::vector<Node> nodes;
  std::vector<int32_t> roots;
  std::vector<Block> blocks;
  int32_t depth = 0, slots = 0, width = 1;
  int words = MANY;                // of a block: MANY or FEW
  std::vector<double> of_a, of_b;  // weights by b * width + a
  double share = 1;                // one over the sum of weights
  bool weighted = false;
};

// Where one walk stands; its arrays belong to the thread.
struct Place {
  const Walk* walk;
  const Block* block;
  const int32_t* codes;
  const uint8_t* lut;
  uint64_t* members;  // words of a block per slot: rows that fail the player where the case meets
  uint8_t* failed;    // per slot: the case fails the player
  uint16_t* in_a;     // per row: how many players it fails where the case meets
  double* ups;        // per row: what a player of its A has got from the leaves so far
  double* downs;      // per row: and one of its B
  double* frames;     // by row: room for ups and downs as they were, a block per depth
  uint16_t* lists;    // not by row: room for the rows that join or part, a block per depth
  double* values;     // n_players, or (rows of the block, n_players)
  int64_t n_players;
  bool by_row;
};

// A test above leaves that are counted.
struct Branch {
  Test test;
  uint32_t from, to;  // registers, a bit per player the case fails; right is the one after left
  uint32_t slot;
  uint32_t last;      // 1 where a child is a leaf, or else 0
};

// The last test above one leaf or two. Its cells say how many comparison rows there are by whom
// they fail beside the player asked here: how many of them go left, how many right, and (`three`)
// how many have failed that player before. With one leaf only, those fail it like the other side.
struct Last {
  uint64_t cells;      // first byte of 2**slots cells of two or four numbers
  double left, right;  // 0 where that child is no leaf
  uint32_t path;       // first of `slots` entries in `players`
  int32_t player;      // the one asked here
  uint8_t slots;       // players on the path beside that one
  uint8_t slot;        // of that one among all
  bool fresh;          // it is asked here for the first time
  bool three, wide;    // wide: numbers of two bytes and not of one

  uint32_t cell_bytes() const { return (wide ? 2u : 1u) * (three ? 4u : 2u); }
};

struct Counts {
  std::vector<Branch> branches;
  std::vector<uint32_t> trees;  // first branch of each tree, and one past the last
  std::vector<uint32_t> first;  // first of each tree in `lasts`, and one past the last
  std::vector<Last> lasts;
  std::vector<int16_t> players;
  std::vector<uint16_t> subsets;      // of each set of players: its subsets, at least eight entries
  std::vector<uint32_t> subsets_at;
  // Weights by how many bits of k are set: of a player of A (a0), with one more in A (a1), with one
  // more in B (a2), and the same of a player of B. A run for each |B| and, where fewer than three
  // players are met, for each number of them, filled up to eight with noughts.
  std::vector<double> a0, a1, a2, b0, b1, b2;
  std::vector<uint32_t> start;
  uint8_t* cells = nullptr;
  uint64_t size = 0;            // bytes of cells
  uint32_t registers = 0;
  uint32_t most_lasts = 0;      // of one tree
  int32_t deepest = 0;          // most players on a path, the last one included
  double share = 1;

  Counts() = default;
  Counts(const Counts&) = delete;
  Counts& operator=(const Counts&) = delete;
  ~Counts() { std::free(cells); }

  size_t start_of(int b, int n_met) const {
    return start[static_cast<size_t>(b) * 4 + static_cast<size_t>(n_met < 3 ? n_met : 3)];
  }
  const uint16_t* subsets_of(uint32_t set, uint16_t* room) const {
    if (set < subsets_at.size()) return subsets.data() + subsets_at[set];
    list_subsets(set, room);
    return room;
  }
  static uint32_t list_subsets(uint32_t set, uint16_t* to) {
    uint32_t n = 1;
    to[0] = 0;
    for (; set; set &= set - 1) {
      const uint32_t bit = set & -set;
      for (uint32_t k = 0; k < n; ++k) to[n + k] = static_cast<uint16_t>(to[k] | bit);
      n *= 2;
    }
    for (; n < 8; ++n) to[n] = 0;
    return n;
  }
};

// What one thread writes to while it asks the counts.
struct Room {
  std::vector<uint32_t> registers, found;
  std::vector<uint16_t> subsets;
  std::vector<int32_t> pairs, thirds;
  std::vector<double> gains;
  explicit Room(const Counts& counts)
      : registers(counts.registers), found(counts.most_lasts + 1),
        subsets((size_t{1} << counts.deepest) + 8), pairs(subsets.size()), thirds(subsets.size()),
        gains(subsets.size()) {}
};

struct Engine {
  int32_t n_columns = 0, n_players = 0;
  std::vector<uint8_t> lut;
  Tables tables;
  std::unique_ptr<Counts> counts;
  Walk walk;
};

}  // namespace

#define WARUM_BODY
#if !defined(WARUM_ONE_VARIANT) && defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define WARUM_X86
#define WARUM_VARIANT vectors_512
#define WARUM_256 "avx2,bmi,bmi2,lzcnt,popcnt"
#define WARUM_512 WARUM_256 ",avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq"
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target(WARUM_512))), apply_to = function)
#include "kernel.cpp"
#pragma clang attribute pop
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt")
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,prefer-vector-width=512")
#include "kernel.cpp"
#pragma GCC pop_options
#endif
#undef WARUM_VARIANT
#define WARUM_VARIANT vectors_256
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target(WARUM_256))), apply_to = function)
#include "kernel.cpp"
#pragma clang attribute pop
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt")
#include "kernel.cpp"
#pragma GCC pop_options
#endif
#undef WARUM_VARIANT
#endif
#define WARUM_VARIANT vectors_any
#include "kernel.cpp"
#undef WARUM_VARIANT

namespace {

int variant() {
#if defined(WARUM_X86)
  static const int best = [] {
    __builtin_cpu_init();
    int found = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
                        __builtin_cpu_supports("popcnt") ? 1 : 0;
    if (found && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vpopcntdq"))
      found = 2;
    return found;
  }();
  static const int asked = [] {
    const char* given = std::getenv("WARUM_VECTORS");  // to compare variants in tests
    return given && given[0] >= '0' && given[0] <= '2' && !given[1] ? given[0] - '0' : 2;
  }();
  return std::min(best, asked);
#else
  return 0;
#endif
}

#if defined(WARUM_X86)
#define WARUM_CALL(name, ...)                                        \
  (variant() == 2   ? vectors_512::name(__VA_ARGS__)                 \
   : variant() == 1 ? vectors_256::name(__VA_ARGS__)                 \
                    : vectors_any::name(__VA_ARGS__))
#else
#define WARUM_CALL(name, ...) vectors_any::name(__VA_ARGS__)
#endif

// -- laying out ---------------------------------------------------------------------------------

struct Given {
  int64_t n_trees, n_nodes;
  int32_t n_columns, n_players;
  const int32_t *roots, *left, *right, *column, *low, *high;
  const int64_t* lut_at;
  const int32_t* player;  // of each column
  const double* value;
};

Test test_of(const Given& g, int32_t node) {
  return {g.column[node], g.low[node],
          static_cast<uint32_t>(g.high[node]) - static_cast<uint32_t>(g.low[node]),
          static_cast<int32_t>(g.lut_at[node])};  // forest.LARGEST_LUT fits
}

uint32_t padded(uint32_t width) { return (width + ROW - 1) / ROW * ROW; }

struct Plan {
  const Given& g;
  uint32_t most_bits;
  uint32_t most_merged;  // where leaves share a table
  double spare;  // how much larger a merged table may be than its parts
  std::vector<int32_t> slots;     // players on the path to a node
  std::vector<int32_t> slot;      // of the player a node asks
  std::vector<uint8_t> whole;     // the subtree is one group
  std::vector<uint8_t> marks;     // tests inside that group
  std::vector<uint16_t> width;    // its players, the path's included
  std::vector<int32_t> order;     // nodes, parents first
  std::vector<int32_t> on_path;   // slot of a player, or -1
  int32_t deepest_slots = 0, depth = 0;

  Plan(const Given& given, uint32_t bits, double larger)
      : g(given), most_bits(bits), most_merged(std::min(bits, MERGED)), spare(larger),
        slots(given.n_nodes), slot(given.n_nodes, -1), whole(given.n_nodes), marks(given.n_nodes),
        width(given.n_nodes), on_path(given.n_players, -1) {
    order.reserve(g.n_nodes);
    for (int64_t t = 0; t < g.n_trees; ++t) visit(g.roots[t], 0, 0);
    std::vector<int32_t> fresh;
    for (auto at = order.rbegin(); at != order.rend(); ++at) decide(*at, fresh);
  }

  void visit(int32_t node, int32_t n_slots, int32_t at) {
    order.push_back(node);
    slots[node] = n_slots;
    deepest_slots = std::max(deepest_slots, n_slots);
    depth = std::max(depth, at);
    if (g.left[node] < 0) return;
    const int32_t player = g.player[g.column[node]];
    const bool fresh = on_path[player] < 0;
    if (fresh) on_path[player] = n_slots++;
    slot[node] = on_path[player];
    visit(g.left[node], n_slots, at + 1);
    visit(g.right[node], n_slots, at + 1);
    if (fresh) on_path[player] = -1;
  }

  double bytes(int32_t node) const {
    return 8.0 * padded(width[node]) * static_cast<double>(1ull << (slots[node] + marks[node]));
  }

  void inner(int32_t node, int32_t root, std::vector<int32_t>& fresh) const {
    if (g.left[node] < 0) return;
    if (slot[node] >= slots[root]) {
      const int32_t player = g.player[g.column[node]];
      if (std::find(fresh.begin(), fresh.end(), player) == fresh.end()) fresh.push_back(player);
    }
    inner(g.left[node], root, fresh);
    inner(g.right[node], root, fresh);
  }

  void decide(int32_t node, std::vector<int32_t>& fresh) {
    const int32_t l = g.left[node], r = g.right[node];
    if (l < 0) {
      whole[node] = slots[node] <= static_cast<int32_t>(most_bits);
      width[node] = static_cast<uint16_t>(slots[node]);
      return;
    }
    if (!whole[l] || !whole[r]) return;
    const uint32_t inside = 1u + marks[l] + marks[r];
    if (slots[node] + inside > most_merged) return;
    fresh.clear();
    inner(node, node, fresh);
    marks[node] = static_cast<uint8_t>(inside);
    width[node] = static_cast<uint16_t>(slots[node] + fresh.size());
    whole[node] = bytes(node) <= spare * (bytes(l) + bytes(r));
  }

  uint32_t bits(int32_t node) const { return static_cast<uint32_t>(slots[node]) + marks[node]; }
};

// The most bits a group may have so that all tables fit; -1, no table at all, where less than half
// of the leaves would have one: they would cost memory and the walk hardly less.
int32_t bits_that_fit(const Plan& plan, double most_bytes) {
  double by_bits[64] = {}, leaves[64] = {}, all = 0;
  std::vector<int32_t> todo(plan.g.roots, plan.g.roots + plan.g.n_trees);
  while (!todo.empty()) {
    const int32_t node = todo.back();
    todo.pop_back();
    if (plan.whole[node]) {
      by_bits[plan.bits(node)] += plan.bytes(node);
      leaves[plan.bits(node)] += plan.marks[node] + 1;
      all += plan.marks[node] + 1;
    } else if (plan.g.left[node] >= 0) {
      todo.push_back(plan.g.left[node]);
      todo.push_back(plan.g.right[node]);
    } else {
      all += 1;
    }
  }
  double sum = 0, fitting = 0;
  for (int32_t bits = 0; bits < 64; ++bits) {
    sum += by_bits[bits];
    if (sum > most_bytes) return 2 * fitting < all ? -1 : bits - 1;
    fitting += leaves[bits];
  }
  return 63;
}

struct Laying {
  const Plan& plan;
  const Given& g;
  Tables& tables;
  int32_t fits;
  uint64_t tile_bytes;
  std::vector<Ending> endings;
  std::vector<Edge> edges;
  std::vector<int32_t> columns;
  std::vector<int32_t> path;  // player of each slot
  std::vector<uint8_t> has;   // the subtree holds a table
  std::vector<uint8_t> walks; // the subtree holds a leaf without one
  Tile tile{};
  uint64_t in_tile = 0;
  uint32_t uppers = 0;

  Laying(const Plan& p, Tables& t, int32_t bits, uint64_t bytes)
      : plan(p), g(p.g), tables(t), fits(bits), tile_bytes(bytes), has(p.g.n_nodes),
        walks(p.g.n_nodes) {
    path.resize(static_cast<size_t>(plan.deepest_slots) + 64);
    for (auto at = plan.order.rbegin(); at != plan.order.rend(); ++at) {
      const int32_t node = *at;
      if (grouped(node)) {
        has[node] = 1;
      } else if (g.left[node] < 0) {
        walks[node] = 1;
      } else {
        has[node] = has[g.left[node]] | has[g.right[node]];
        walks[node] = walks[g.left[node]] | walks[g.right[node]];
      }
    }
    for (int64_t tree = 0; tree < g.n_trees; ++tree) {
      const int32_t root = g.roots[tree];
      if (!has[root] || g.left[root] < 0) continue;
      lay(root, -1);
      if (in_tile > tile_bytes || uppers + tile.groups > 1024) close();
    }
    close();
  }

  bool grouped(int32_t node) const {
    return plan.whole[node] && static_cast<int32_t>(plan.bits(node)) <= fits;
  }

  // Registers: groups of the tile from 0, then -2 - k for the k-th inner node above them; settled
  // when the tile is closed. Register -1 takes what nobody asks for.
  int32_t name(int32_t node) {
    if (!has[node]) return -1;
    if (grouped(node)) {
      return static_cast<int32_t>(tile.groups++);
    }
    return -2 - static_cast<int32_t>(uppers++);
  }

  void lay(int32_t node, int32_t as) {
    if (as == -1) as = name(node);
    if (grouped(node)) {
      group(node, as);
      return;
    }
    const int32_t player = g.player[g.column[node]];
    path[plan.slot[node]] = player;
    const int32_t l = g.left[node], r = g.right[node];
    const int32_t to_left = name(l);
    const size_t step = tables.steps.size();
    tables.steps.push_back({test_of(g, node), as, to_left, -1,
                            static_cast<uint32_t>(plan.slot[node])});
    const int32_t to_right = name(r);
    tables.steps[step].right = to_right;
    if (has[l]) lay(l, to_left);
    path[plan.slot[node]] = player;
    if (has[r]) lay(r, to_right);
  }

  void group(int32_t node, int32_t as) {
    Group made{};
    made.bits = plan.bits(node);
    made.width = plan.width[node];
    made.stride = padded(made.width);
    made.table = tables.size;
    made.player = static_cast<uint32_t>(tables.players.size());
    const uint64_t size = static_cast<uint64_t>(made.stride) << made.bits;
    tables.size += size;
    in_tile += size * sizeof(double);
    for (int32_t s = 0; s < plan.slots[node]; ++s) tables.players.push_back(path[s]);
    uint32_t bit = static_cast<uint32_t>(plan.slots[node]);
    std::vector<Edge> taken;
    std::vector<int32_t> own;
    pending.push_back(made);
    inside(node, node, as, bit, taken, own);
  }

  std::vector<Group> pending;  // groups in the order they were laid, by register below
  std::vector<int32_t> pending_as;

  void inside(int32_t node, int32_t root, int32_t as, uint32_t& bit, std::vector<Edge>& taken,
              std::vector<int32_t>& own) {
    if (node == root) pending_as.push_back(as);
    if (g.left[node] < 0) {
      Ending end{};
      end.group = static_cast<uint32_t>(as);  // register, settled in close()
      end.value = g.value[node];
      end.path = static_cast<uint32_t>(plan.slots[root]);
      end.slots = static_cast<uint32_t>(plan.slots[node]);
      end.edge = static_cast<uint32_t>(edges.size());
      end.edges = static_cast<uint32_t>(taken.size());
      end.column = static_cast<uint32_t>(columns.size());
      edges.insert(edges.end(), taken.begin(), taken.end());
      columns.insert(columns.end(), own.begin(), own.end());
      endings.push_back(end);
      return;
    }
    const uint32_t mine = bit++;
    tables.steps.push_back({test_of(g, node), -1, as, -1, mine});
    const int32_t player = g.player[g.column[node]];
    const bool fresh = plan.slot[node] >= plan.slots[root] &&
                       plan.slot[node] == plan.slots[node];
    if (fresh) {
      // the table's column of a player that joins inside the group
      auto first = tables.players.begin() + pending.back().player;
      auto known = std::find(first, tables.players.end(), player);
      own.push_back(static_cast<int32_t>(known - first));
      if (known == tables.players.end()) tables.players.push_back(player);
    }
    const uint32_t slot = static_cast<uint32_t>(plan.slot[node]);
    taken.push_back({mine, 1, slot});
    inside(g.left[node], root, as, bit, taken, own);
    taken.back().wants = 0;
    inside(g.right[node], root, as, bit, taken, own);
    taken.pop_back();
    if (fresh) own.pop_back();
  }

  size_t first_ending = 0;

  void close() {
    if (!tile.groups) return;
    tile.steps = static_cast<uint32_t>(tables.steps.size()) - tile.step;
    tile.registers = tile.groups + uppers + 1;
    const int32_t nobody = static_cast<int32_t>(tile.groups + uppers);
    auto settled = [&](int32_t as) {
      return as >= 0 ? as : as == -1 ? nobody : static_cast<int32_t>(tile.groups) - 2 - as;
    };
    for (uint32_t s = tile.step; s < tables.steps.size(); ++s) {
      Step& step = tables.steps[s];
      const bool marks = step.from == -1;
      step.from = marks ? -1 : settled(step.from);
      step.left = settled(step.left);
      step.right = settled(step.right);
    }
    const size_t first = tables.groups.size();
    tables.groups.resize(first + tile.groups);
    for (size_t k = 0; k < pending.size(); ++k) tables.groups[first + pending_as[k]] = pending[k];
    for (size_t e = first_ending; e < endings.size(); ++e)
      endings[e].group += static_cast<uint32_t>(first);
    first_ending = endings.size();
    tables.tiles.push_back(tile);
    tile = Tile{};
    tile.step = static_cast<uint32_t>(tables.steps.size());
    tile.group = static_cast<uint32_t>(tables.groups.size());
    pending.clear();
    pending_as.clear();
    in_tile = 0;
    uppers = 0;
  }
};

// Codes of cases or rows, LANES of them side by side per column; filled up with the last one.
std::vector<int32_t> side_by_side(const int32_t* codes, int64_t n, int32_t n_columns) {
  const int64_t packs = (n + LANES - 1) / LANES;
  std::vector<int32_t> out(static_cast<size_t>(packs) * n_columns * LANES);
  for (int64_t p = 0; p < packs; ++p)
    for (int32_t c = 0; c < n_columns; ++c)
      for (int l = 0; l < LANES; ++l)
        out[(static_cast<size_t>(p) * n_columns + c) * LANES + l] =
            codes[std::min<int64_t>(p * LANES + l, n - 1) * n_columns + c];
  return out;
}

void fill_tables(Engine& engine, const Laying& laid, const int32_t* rows, int64_t n_rows,
                 const double* weights, double share, const std::vector<double>& of_a,
                 const std::vector<double>& of_b, int32_t width) {
  Tables& tables = engine.tables;
  if (!tables.size) return;
  void* memory = nullptr;
  if (posix_memalign(&memory, 64, tables.size * sizeof(double))) throw std::bad_alloc();
  tables.table = static_cast<double*>(memory);
  std::memset(tables.table, 0, tables.size * sizeof(double));
  const auto packs = side_by_side(rows, n_rows, engine.n_columns);
  std::vector<double> ones;
  if (!weights) {
    ones.assign(static_cast<size_t>(n_rows), 1.0);
    weights = ones.data();
  }
  size_t ending = 0;
  std::vector<uint64_t> start;
  std::vector<double> counts, leaf_counts(1u << 16), leaf((1u << 12) * 16);
  std::vector<uint32_t> registers, projected(1u << 16);
  for (const Tile& tile : tables.tiles) {
    start.assign(tile.groups, 0);
    uint64_t sum = 0;
    for (uint32_t k = 0; k < tile.groups; ++k) {
      start[k] = sum;
      sum += 1ull << tables.groups[tile.group + k].bits;
    }
    counts.assign(sum, 0.0);
    registers.assign(static_cast<size_t>(tile.registers) * LANES, 0);
    WARUM_CALL(count, tables, tile, engine.lut.data(), packs.data(), n_rows, engine.n_columns,
               weights, registers.data(), start.data(), counts.data());
    for (; ending < laid.endings.size() &&
           laid.endings[ending].group < tile.group + tile.groups;
         ++ending) {
      const Ending& end = laid.endings[ending];
      const Group& group = tables.groups[end.group];
      const size_t cells = (size_t{1} << end.slots) * padded(end.slots);
      if (leaf.size() < cells) leaf.resize(cells);
      if (leaf_counts.size() < (size_t{1} << (end.slots + 1)))
        leaf_counts.resize(size_t{1} << (end.slots + 1));
      if (projected.size() < (size_t{1} << group.bits)) projected.resize(size_t{1} << group.bits);
      WARUM_CALL(share_out, end, group, laid.edges.data() + end.edge,
                 laid.columns.data() + end.column, counts.data() + start[end.group - tile.group],
                 end.value * share, of_a.data(), of_b.data(), width, leaf_counts.data(),
                 leaf.data(), projected.data(), tables.table + group.table);
    }
  }
}

// -- laying out the counts ----------------------------------------------------------------------

struct Counting {
  const Plan& plan;
  const Given& g;
  const std::vector<uint8_t>& wanted;  // the subtree holds a leaf that has no table
  const uint8_t* lut;
  const int64_t n_rows;
  const double most_bytes;
  Counts& counts;
  std::vector<int32_t> columns;               // codes of the comparison rows, column after column
  std::vector<std::vector<uint16_t>> failed;  // per register, by row: bits of failed players
  std::vector<int32_t> path;                  // player of each slot
  std::vector<uint16_t> tally, where;
  std::vector<uint8_t> passed;                // by row: whether it goes left

  Counting(const Plan& p, const std::vector<uint8_t>& leaves, const uint8_t* categories,
           const int32_t* rows, int64_t n, double most, Counts& to)
      : plan(p), g(p.g), wanted(leaves), lut(categories), n_rows(n), most_bytes(most), counts(to),
        columns(static_cast<size_t>(n) * g.n_columns),
        failed(2 * static_cast<size_t>(plan.depth) + 3,
               std::vector<uint16_t>(static_cast<size_t>(n))),
        path(static_cast<size_t>(plan.deepest_slots) + 1), where(static_cast<size_t>(n)),
        passed(static_cast<size_t>(n)) {
    for (int64_t r = 0; r < n; ++r)
      for (int32_t c = 0; c < g.n_columns; ++c) columns[c * n + r] = rows[r * g.n_columns + c];
  }

  bool counted(int32_t node) const { return wanted[node] && g.left[node] < 0; }

  // Bytes of all cells where every number takes one; infinite where a path is too long.
  double bytes() const {
    double sum = 0;
    for (const int32_t node : plan.order) {
      if (!wanted[node] || g.left[node] < 0) continue;
      const int ends = counted(g.left[node]) + counted(g.right[node]);
      if (!ends) continue;
      const bool fresh = plan.slot[node] == plan.slots[node];
      const int slots = plan.slots[node] + fresh - 1;
      if (slots > MOST_COUNTED) return 1e300;
      sum += (ends == 2 && !fresh ? 4.0 : 2.0) * static_cast<double>(1u << slots);
    }
    return sum;
  }

  // All trees; false where the cells would take more than `most_bytes`.
  bool all() {
    const double least = bytes();
    if (least > most_bytes) return false;
    // what is never written to takes no memory
    const size_t page = size_t{2} << 20;
    const double most = std::min(n_rows > 255 ? 2 * least : least, most_bytes);
    const size_t size = (static_cast<size_t>(most) + page) / page * page;
    void* memory = nullptr;
    if (posix_memalign(&memory, page, size)) return false;
    counts.cells = static_cast<uint8_t*>(memory);
#if defined(MADV_HUGEPAGE)
    madvise(memory, size, MADV_HUGEPAGE);  // every case goes through all of it; no harm if refused
#endif
    for (int64_t t = 0; t < g.n_trees; ++t) {
      const int32_t root = g.roots[t];
      if (g.left[root] < 0 || !wanted[root]) continue;
      counts.trees.push_back(static_cast<uint32_t>(counts.branches.size()));
      counts.first.push_back(static_cast<uint32_t>(counts.lasts.size()));
      std::fill(failed[0].begin(), failed[0].end(), uint16_t{0});
      if (!lay(root, 0, 0)) return false;
      const uint32_t lasts = static_cast<uint32_t>(counts.lasts.size()) - counts.first.back();
      counts.most_lasts = std::max(counts.most_lasts, lasts);
    }
    counts.trees.push_back(static_cast<uint32_t>(counts.branches.size()));
    counts.first.push_back(static_cast<uint32_t>(counts.lasts.size()));
    return true;
  }

  bool lay(int32_t node, uint32_t from, uint32_t at) {
    const int32_t l = g.left[node], r = g.right[node];
    const Test test = test_of(g, node);
    const uint32_t slot = static_cast<uint32_t>(plan.slot[node]), to = 2 * at + 1;
    const uint32_t last = counted(l) || counted(r) ? 1 : 0;
    path[slot] = g.player[g.column[node]];
    counts.branches.push_back({test, from, to, slot, last});
    counts.registers = std::max(counts.registers, to + 2);
    WARUM_CALL(passes, test, columns.data() + int64_t{test.column} * n_rows, n_rows, lut,
               passed.data());
    if (last && !count(node, failed[from])) return false;
    const bool on_left = wanted[l] && g.left[l] >= 0, on_right = wanted[r] && g.left[r] >= 0;
    if (!on_left && !on_right) return true;
    WARUM_CALL(part, failed[from].data(), passed.data(), n_rows, slot, failed[to].data(),
               failed[to + 1].data());
    if (on_left && !lay(l, to, at + 1)) return false;
    path[slot] = g.player[g.column[node]];
    return !on_right || lay(r, to + 1, at + 1);
  }

  bool count(int32_t node, const std::vector<uint16_t>& before) {
    const int32_t l = g.left[node], r = g.right[node];
    Last made{};
    made.slot = static_cast<uint8_t>(plan.slot[node]);
    made.fresh = plan.slot[node] == plan.slots[node];
    made.slots = static_cast<uint8_t>(plan.slots[node] + made.fresh - 1);
    made.three = counted(l) && counted(r) && !made.fresh;
    made.left = counted(l) ? g.value[l] : 0;
    made.right = counted(r) ? g.value[r] : 0;
    made.player = g.player[g.column[node]];
    made.path = static_cast<uint32_t>(counts.players.size());
    counts.deepest = std::max(counts.deepest, made.slots + 1);
    for (int32_t s = 0; s <= made.slots; ++s)
      if (s != made.slot) counts.players.push_back(static_cast<int16_t>(path[s]));
    const uint32_t n = 1u << made.slots;
    // who has failed the player before fails it at the only leaf, too
    const uint32_t third = made.three ? 2 : counted(l) ? 1 : 0;
    const int parts = n_rows > 8 * int64_t{n} ? PARTS : 1;
    tally.assign(size_t{3} * n * static_cast<size_t>(parts), 0);
    WARUM_CALL(tell, before.data(), passed.data(), n_rows, made.slot, made.slots, third, parts,
               where.data(), tally.data());
    for (size_t other = 1; other < static_cast<size_t>(parts); ++other)
      for (uint32_t k = 0; k < 3 * n; ++k)
        tally[k] = static_cast<uint16_t>(tally[k] + tally[size_t{3} * n * other + k]);
    made.wide = *std::max_element(tally.begin(), tally.begin() + 3 * n) > 255;
    made.cells = counts.size;
    const uint32_t size = made.cell_bytes();
    counts.size += uint64_t{n} * size;
    if (static_cast<double>(counts.size) > most_bytes) return false;
    uint8_t* to = counts.cells + made.cells;
    for (uint32_t k = 0; k < n; ++k, to += size) {
      const uint32_t rest = tally[2 * n + k];
      const uint32_t pair = tally[k] | static_cast<uint32_t>(tally[n + k]) << (made.wide ? 16 : 8);
      const uint32_t cell = made.three && !made.wide ? pair | rest << 16 : pair;
      const uint16_t few = static_cast<uint16_t>(pair);
      if (size == 2) {
        std::memcpy(to, &few, 2);
      } else {
        std::memcpy(to, &cell, 4);
        if (size == 8) std::memcpy(to + 4, &rest, 4);
      }
    }
    counts.lasts.push_back(made);
    return true;
  }
};

// Null where that would take too much memory.
std::unique_ptr<Counts> lay_counts(const Plan& plan, const std::vector<uint8_t>& wanted,
                                   const uint8_t* lut, const int32_t* rows, int64_t n_rows,
                                   double share, const std::vector<double>& of_a,
                                   const std::vector<double>& of_b, int32_t width,
                                   double most_bytes) try {
  if (n_rows > 65535) return nullptr;
  auto counts = std::make_unique<Counts>();
  if (!Counting(plan, wanted, lut, rows, n_rows, most_bytes, *counts).all()) return nullptr;
  counts->share = share;
  for (int32_t b = 0; b <= counts->deepest; ++b)
    for (int32_t n_met = 0; n_met < 4; ++n_met) {
      counts->start.push_back(static_cast<uint32_t>(counts->a0.size()));
      const uint32_t n = n_met < 3 ? 1u << n_met : std::max(8u, 1u << (counts->deepest - b));
      for (uint32_t k = 0; k < std::max(8u, n); ++k) {
        const int32_t a = __builtin_popcount(k);
        auto at = [&](const std::vector<double>& of, int32_t in_b, int32_t in_a) {
          const bool any = k < n && in_a < width && in_b < width;
          return any ? of[static_cast<size_t>(in_b) * width + in_a] : 0.0;
        };
        counts->a0.push_back(at(of_a, b, a));
        counts->a1.push_back(at(of_a, b, a + 1));
        counts->a2.push_back(at(of_a, b + 1, a));
        counts->b0.push_back(at(of_b, b, a));
        counts->b1.push_back(at(of_b, b, a + 1));
        counts->b2.push_back(at(of_b, b + 1, a));
      }
    }
  std::vector<uint16_t> listed((size_t{1} << LISTED) + 8);
  for (uint32_t set = 0; set < 1u << std::min(counts->deepest, LISTED); ++set) {
    counts->subsets_at.push_back(static_cast<uint32_t>(counts->subsets.size()));
    const uint32_t n = Counts::list_subsets(set, listed.data());
    counts->subsets.insert(counts->subsets.end(), listed.begin(), listed.begin() + n);
  }
  return counts;
} catch (const std::bad_alloc&) {
  return nullptr;
}

// -- laying out the walk ------------------------------------------------------------------------

struct Paving {
  const Plan& plan;
  const Given& g;
  Walk& walk;
  const std::vector<uint8_t>& wanted;

  int32_t pave(int32_t node, int32_t at) {
    if (!wanted[node]) return -1;
    const int32_t me = static_cast<int32_t>(walk.nodes.size());
    walk.nodes.push_back({});
    Node made{};
    made.left = made.right = made.slot = made.player = -1;
    walk.slots = std::max(walk.slots, plan.slots[node]);
    walk.depth = std::max(walk.depth, at + 1);
    if (g.left[node] < 0) {
      made.test.column = -1;
      made.value = g.value[node];
    } else {
      made.test = test_of(g, node);
      made.slot = static_cast<int16_t>(plan.slot[node]);
      made.player = static_cast<int16_t>(g.player[g.column[node]]);
      made.fresh = plan.slot[node] == plan.slots[node];
      made.left = pave(g.left[node], at + 1);
      made.right = pave(g.right[node], at + 1);
    }
    walk.nodes[me] = made;
    return me;
  }
};

// Which rows go left at each node, once per distinct test.
void bring_rows(Walk& walk, const uint8_t* lut, const int32_t* rows, int64_t n_rows,
                int32_t n_columns, const double* weights) {
  std::vector<std::vector<int32_t>> sorted(static_cast<size_t>(n_columns));
  std::vector<std::vector<int32_t>> known(static_cast<size_t>(n_columns));
  walk.words = n_rows <= 64 * FEW ? FEW : MANY;
  const int words = walk.words, most = 64 * words;
  for (int64_t first = 0; first < n_rows; first += most) {
    walk.blocks.emplace_back();
    Block& block = walk.blocks.back();
    block.rows = static_cast<int32_t>(std::min<int64_t>(most, n_rows - first));
    for (int w = 0; w < words; ++w) {
      const int left = block.rows - 64 * w;
      block.all[w] = left >= 64 ? ~0ull : left > 0 ? (1ull << left) - 1 : 0;
    }
    if (weights) block.weight.assign(weights + first, weights + first + block.rows);
    const int32_t* part = rows + first * n_columns;
    for (int32_t c = 0; c < n_columns; ++c) {
      sorted[c].resize(static_cast<size_t>(block.rows));
      for (int32_t r = 0; r < block.rows; ++r) sorted[c][r] = part[int64_t{r} * n_columns + c];
      std::sort(sorted[c].begin(), sorted[c].end());
      known[c].assign(2 * static_cast<size_t>(block.rows) + 2, -1);
    }
    std::unordered_map<int32_t, int32_t> sets;
    block.of_node.assign(walk.nodes.size(), -1);
    int32_t n_tests = 0;
    for (size_t k = 0; k < walk.nodes.size(); ++k) {
      const Test& test = walk.nodes[k].test;
      if (test.column < 0) continue;
      int32_t* place;
      if (test.lut >= 0) {
        place = &sets.try_emplace(test.lut, -1).first->second;
      } else {
        // two tests with as many rows below them and the same way for what is missing are one
        const auto& codes = sorted[test.column];
        const int32_t high = test.low + static_cast<int32_t>(test.span);
        const auto passed = std::upper_bound(codes.begin(), codes.end(), high) - codes.begin();
        place = &known[test.column][2 * static_cast<size_t>(passed) + (test.low < 0 ? 1 : 0)];
      }
      if (*place < 0) {
        *place = n_tests++;
        block.bits.resize(static_cast<size_t>(n_tests) * words, 0);
        uint64_t* bits = block.bits.data() + static_cast<size_t>(*place) * words;
        for (int32_t r = 0; r < block.rows; ++r) {
          const int32_t code = part[int64_t{r} * n_columns + test.column];
          const bool goes = test.lut >= 0 ? lut[test.lut + 1 + code] != 0
                                          : static_cast<uint32_t>(code) -
                                                    static_cast<uint32_t>(test.low) <= test.span;
          bits[r / 64] |= static_cast<uint64_t>(goes) << (r % 64);
        }
      }
      block.of_node[k] = *place;
    }
  }
}

void lay_walk(Walk& walk, const Plan& plan, const std::vector<uint8_t>& wanted,
              const uint8_t* lut, const int32_t* rows, int64_t n_rows, int32_t n_columns,
              const double* weights, double share, const std::vector<double>& of_a,
              const std::vector<double>& of_b) {
  Paving paving{plan, plan.g, walk, wanted};
  for (int64_t t = 0; t < plan.g.n_trees; ++t) {
    const int32_t root = plan.g.roots[t];
    if (plan.g.left[root] < 0) continue;  // one leaf moves nobody
    const int32_t laid = paving.pave(root, 0);
    if (laid >= 0) walk.roots.push_back(laid);
  }
  if (walk.roots.empty()) return;
  walk.of_a = of_a;
  walk.of_b = of_b;
  walk.share = share;
  walk.weighted = weights != nullptr;
  bring_rows(walk, lut, rows, n_rows, n_columns, weights);
}

// Arrays of one thread's walk, and the place that points into them.
struct Workspace {
  std::vector<uint64_t> members;
  std::vector<uint8_t> failed;
  std::vector<uint16_t> in_a, lists;
  std::vector<double> sums;
  Place place{};
  Workspace(const Walk& walk, const uint8_t* lut, int64_t n_players, bool by_row)
      : members(walk.words * (static_cast<size_t>(walk.slots) + 1)),
        failed(static_cast<size_t>(walk.slots) + 1), in_a(64 * walk.words),
        lists(size_t{64} * walk.words * (by_row ? 0 : walk.depth + 1)),
        sums(size_t{64} * walk.words * (by_row ? walk.depth + 3 : 2)) {
    place.walk = &walk;
    place.lut = lut;
    place.members = members.data();
    place.failed = failed.data();
    place.in_a = in_a.data();
    place.ups = sums.data();
    place.downs = sums.data() + 64 * walk.words;
    place.frames = sums.data() + 128 * walk.words;
    place.lists = lists.data();
    place.n_players = n_players;
    place.by_row = by_row;
  }
};

}  // namespace

// -- what kernel.py calls -----------------------------------------------------------------------

extern "C" {

int32_t warum_kernel_abi() { return 2; }
int32_t warum_kernel_vectors() { return variant(); }

// Codes of prepared values: thresholds passed, or the place of a category.
// values : (n, n_columns), NaN where missing; how : per column 0 at most, 1 below, 2 one of
void warum_encode(const double* values, int64_t n, int32_t n_columns, const double* scale,
                  const int64_t* scale_start, const uint8_t* how, int32_t* codes) {
  for (int64_t r = 0; r < n; ++r) {
    for (int32_t c = 0; c < n_columns; ++c) {
      const double* first = scale + scale_start[c];
      const double* last = scale + scale_start[c + 1];
      const double x = values[r * n_columns + c];
      int32_t code;
      if (x != x) {
        code = -1;
      } else if (how[c] == 2) {
        const double whole = __builtin_trunc(x);
        const double* at = std::lower_bound(first, last, whole);
        code = at != last && *at == whole ? static_cast<int32_t>(at - first) + 1 : 0;
      } else {
        code = static_cast<int32_t>(
            (how[c] ? std::upper_bound(first, last, x) : std::lower_bound(first, last, x)) - first);
      }
      codes[r * n_columns + c] = code;
    }
  }
}

// of_a, of_b : (width, width) weights by b * width + a, width = slots on the longest path + 1
// only_walk : build neither tables nor counts (the rows are looked at one by one)
// most_counted : bytes that counts may take
// Returns null where memory is lacking.
void* warum_build(int64_t n_trees, int64_t n_nodes, int32_t n_columns, int32_t n_players,
                  const int32_t* roots, const int32_t* left, const int32_t* right,
                  const int32_t* column, const int32_t* low, const int32_t* high,
                  const int64_t* lut_at, const uint8_t* lut, int64_t n_lut, const int32_t* player,
                  const double* value, const int32_t* rows, int64_t n_rows, const double* weights,
                  double share, const double* of_a, const double* of_b, int32_t width,
                  int32_t only_walk, int32_t most_bits, double most_bytes, double spare,
                  double most_counted) {
  try {
    auto engine = std::make_unique<Engine>();
    engine->n_columns = n_columns;
    engine->n_players = n_players;
    engine->lut.assign(lut, lut + n_lut);
    const Given given{n_trees, n_nodes, n_columns, n_players, roots, left, right, column, low,
                      high,    lut_at,  player,    value};
    const Plan plan(given, static_cast<uint32_t>(only_walk ? 0 : most_bits), spare);
    const size_t n_weights = static_cast<size_t>(width) * width;
    const std::vector<double> a(of_a, of_a + n_weights), b(of_b, of_b + n_weights);
    const int32_t fits = only_walk ? -1 : bits_that_fit(plan, most_bytes);
    Laying laid(plan, engine->tables, fits, 1u << 20);
    fill_tables(*engine, laid, rows, n_rows, weights, share, a, b, width);
    engine->walk.width = width;
    const bool over = std::find(laid.walks.begin(), laid.walks.end(), 1) != laid.walks.end();
    if (over && !only_walk && !weights && most_counted > 0)
      engine->counts = lay_counts(plan, laid.walks, engine->lut.data(), rows, n_rows, share, a, b,
                                  width, most_counted);
    if (engine->counts) return engine.release();
    lay_walk(engine->walk, plan, laid.walks, engine->lut.data(), rows, n_rows, n_columns, weights,
             share, a, b);
    return engine.release();
  } catch (const std::exception&) {
    return nullptr;
  }
}

void warum_free(void* engine) { delete static_cast<Engine*>(engine); }

// figures : tables and counts in bytes, groups, leaves that are walked to, nodes of the walk
void warum_figures(const void* given, int64_t* figures) {
  const Engine& engine = *static_cast<const Engine*>(given);
  figures[0] = static_cast<int64_t>(engine.tables.size * sizeof(double));
  if (engine.counts) figures[0] += static_cast<int64_t>(engine.counts->size);
  figures[1] = static_cast<int64_t>(engine.tables.groups.size());
  figures[2] = 0;
  for (const Node& node : engine.walk.nodes) figures[2] += node.test.column < 0;
  figures[3] = static_cast<int64_t>(engine.walk.nodes.size());
}

// codes : (n, n_columns); values : (n, n_players), added to. Returns 0, or 1 without memory.
int32_t warum_values(const void* given, const int32_t* codes, int64_t n, double* values) {
  try {
    const Engine& engine = *static_cast<const Engine*>(given);
    const Tables& tables = engine.tables;
    const uint8_t* lut = engine.lut.data();
    if (n <= 0) return 0;
    if (!tables.tiles.empty()) {
      uint32_t most = 0;
      for (const Tile& tile : tables.tiles) most = std::max(most, tile.registers);
      std::vector<uint32_t> registers(static_cast<size_t>(most) * LANES);
      if (n < 4) {
        for (int64_t k = 0; k < n; ++k)
          WARUM_CALL(one, tables, lut, codes + k * engine.n_columns, registers.data(),
                     values + k * engine.n_players);
      } else {
        const auto packs = side_by_side(codes, n, engine.n_columns);
        WARUM_CALL(many, tables, lut, packs.data(), n, engine.n_columns, engine.n_players,
                   registers.data(), values);
      }
    }
    if (engine.counts) {
      const Counts& counts = *engine.counts;
      std::vector<double> sums(static_cast<size_t>(n) * engine.n_players);
      Room room(counts);
      for (size_t tree = 0; tree + 1 < counts.trees.size(); ++tree)
        for (int64_t k = 0; k < n; ++k)
          WARUM_CALL(look_up, counts, tree, lut, codes + k * engine.n_columns, room,
                     sums.data() + k * engine.n_players);
      for (size_t k = 0; k < sums.size(); ++k) values[k] += sums[k] * counts.share;
    }
    const Walk& walk = engine.walk;
    if (walk.roots.empty()) return 0;
    Workspace work(walk, lut, engine.n_players, false);
    std::vector<double> sums(static_cast<size_t>(n) * engine.n_players);
    for (const int32_t root : walk.roots)
      for (const Block& block : walk.blocks)
        for (int64_t k = 0; k < n; ++k) {
          work.place.block = &block;
          work.place.codes = codes + k * engine.n_columns;
          work.place.values = sums.data() + k * engine.n_players;
          WARUM_CALL(walk_tree, work.place, root);
        }
    for (size_t k = 0; k < sums.size(); ++k) values[k] += sums[k] * walk.share;
    return 0;
  } catch (const std::exception&) {
    return 1;
  }
}

// values : (n_rows, n_players), one case against each row alone, added to.
int32_t warum_row_values(const void* given, const int32_t* codes, double* values) {
  try {
    const Engine& engine = *static_cast<const Engine*>(given);
    const Walk& walk = engine.walk;
    if (walk.roots.empty()) return 0;
    Workspace work(walk, engine.lut.data(), engine.n_players, true);
    work.place.codes = codes;
    for (const Block& block : walk.blocks) {
      work.place.block = &block;
      work.place.values = values;
      for (const int32_t root : walk.roots) WARUM_CALL(walk_tree, work.place, root);
      values += static_cast<int64_t>(block.rows) * engine.n_players;
    }
    return 0;
  } catch (const std::exception&) {
    return 1;
  }
}

}  // extern "C"

#else  // the body, once per instruction set

namespace {
namespace WARUM_VARIANT {

WARUM_INLINE bool goes_left(const Test& test, int32_t code, const uint8_t* lut) {
  return test.lut < 0 ? static_cast<uint32_t>(code) - static_cast<uint32_t>(test.low) <= test.span
                      : lut[test.lut + 1 + code] != 0;
}

// -- tables -------------------------------------------------------------------------------------

// Patterns of N cases side by side, for the groups of a tile.
template <int N>
WARUM_INLINE void patterns(const Tables& tables, const Tile& tile, const uint8_t* lut,
                           const int32_t* codes, uint32_t* registers) {
  __builtin_memset(registers, 0, sizeof(uint32_t) * N * tile.registers);
  const Step* step = tables.steps.data() + tile.step;
  const Step* end = step + tile.steps;
  for (; step != end; ++step) {
    const int32_t* code = codes + static_cast<int64_t>(step->test.column) * N;
    uint32_t left[N];
    if (__builtin_expect(step->test.lut < 0, 1)) {
      const uint32_t low = static_cast<uint32_t>(step->test.low), span = step->test.span;
      for (int l = 0; l < N; ++l) left[l] = static_cast<uint32_t>(code[l]) - low <= span;
    } else {
      const uint8_t* table = lut + step->test.lut + 1;
      for (int l = 0; l < N; ++l) left[l] = table[code[l]];
    }
    const uint32_t shift = step->shift;
    uint32_t* to_left = registers + static_cast<int64_t>(step->left) * N;
    if (step->from < 0) {
      for (int l = 0; l < N; ++l) to_left[l] |= left[l] << shift;
    } else {
      const uint32_t* from = registers + static_cast<int64_t>(step->from) * N;
      uint32_t* to_right = registers + static_cast<int64_t>(step->right) * N;
      uint32_t held[N];
      for (int l = 0; l < N; ++l) held[l] = from[l];
      for (int l = 0; l < N; ++l) to_left[l] = held[l] | (left[l] ^ 1u) << shift;
      for (int l = 0; l < N; ++l) to_right[l] = held[l] | left[l] << shift;
    }
  }
}

inline void count(const Tables& tables, const Tile& tile, const uint8_t* lut, const int32_t* packs,
           int64_t n_rows, int32_t n_columns, const double* weights, uint32_t* registers,
           const uint64_t* start, double* counts) {
  for (int64_t first = 0; first < n_rows; first += LANES) {
    patterns<LANES>(tables, tile, lut, packs + first * n_columns, registers);
    const int here = static_cast<int>(n_rows - first < LANES ? n_rows - first : LANES);
    for (uint32_t k = 0; k < tile.groups; ++k)
      for (int l = 0; l < here; ++l)
        counts[start[k] + registers[k * LANES + l]] += weights[first + l];
  }
}

// One leaf's contributions by the pattern of a case, added to the table of its group.
inline void share_out(const Ending& end, const Group& group, const Edge* edges,
                      const int32_t* columns, const double* group_counts, double value,
                      const double* of_a, const double* of_b, int32_t width, double* counts,
                      double* leaf, uint32_t* projected, double* table) {
  const uint32_t slots = end.slots, patterns = 1u << slots, stride = (slots + ROW - 1) / ROW * ROW;
  const uint32_t own = (1u << end.path) - 1;
  double* of_failed = counts + patterns;
  for (uint32_t k = 0; k < 2 * patterns; ++k) counts[k] = 0;
  for (uint32_t state = 0; state < 1u << group.bits; ++state) {
    uint32_t at = state & own;
    for (uint32_t e = 0; e < end.edges; ++e)
      at |= ((state >> edges[e].bit & 1u) != edges[e].wants ? 1u : 0u) << edges[e].slot;
    projected[state] = at;
    counts[at] += group_counts[state];
  }
  for (uint32_t k = 0; k < patterns * stride; ++k) leaf[k] = 0;
  double in_a[64];
  for (uint32_t fails = 0; fails < patterns; ++fails) {  // of comparison rows
    const double here = counts[fails];
    if (here == 0) continue;
    const int a = __builtin_popcount(fails);
    for (uint32_t k = 0; k < stride; ++k) in_a[k] = fails >> k & 1u ? here : 0.0;
    const uint32_t free = patterns - 1 - fails;
    for (uint32_t met = free;; met = (met - 1) & free) {  // of the case: whom it fails
      const int b = __builtin_popcount(met);
      const double up = of_a[b * width + a];
      double* to = leaf + static_cast<uint64_t>(met) * stride;
      for (uint32_t k = 0; k < stride; k += ROW)
        for (int j = 0; j < ROW; ++j) to[k + j] += in_a[k + j] * up;
      of_failed[met] += here * of_b[b * width + a];
      if (!met) break;
    }
  }
  for (uint32_t fails = 0; fails < patterns; ++fails)
    for (uint32_t k = 0; k < slots; ++k) {
      double& cell = leaf[static_cast<uint64_t>(fails) * stride + k];
      cell = (fails >> k & 1u ? of_failed[fails] : cell) * value;
    }
  for (uint32_t state = 0; state < 1u << group.bits; ++state) {
    const double* from = leaf + static_cast<uint64_t>(projected[state]) * stride;
    double* to = table + static_cast<uint64_t>(state) * group.stride;
    for (uint32_t k = 0; k < end.path; ++k) to[k] += from[k];
    for (uint32_t k = end.path; k < slots; ++k) to[columns[k - end.path]] += from[k];
  }
}

inline void one(const Tables& tables, const uint8_t* lut, const int32_t* codes, uint32_t* registers,
         double* values) {
  for (const Tile& tile : tables.tiles) {
    patterns<1>(tables, tile, lut, codes, registers);
    const Group* groups = tables.groups.data() + tile.group;
    for (uint32_t k = 0; k < tile.groups; ++k) {
      const double* row =
          tables.table + groups[k].table + static_cast<uint64_t>(registers[k]) * groups[k].stride;
      __builtin_prefetch(row);
      if (groups[k].stride > 8) __builtin_prefetch(row + 8);
    }
    for (uint32_t k = 0; k < tile.groups; ++k) {
      const Group& group = groups[k];
      const double* row =
          tables.table + group.table + static_cast<uint64_t>(registers[k]) * group.stride;
      const int32_t* player = tables.players.data() + group.player;
      for (uint32_t j = 0; j < group.width; ++j) values[player[j]] += row[j];
    }
  }
}

inline void many(const Tables& tables, const uint8_t* lut, const int32_t* packs, int64_t n,
          int32_t n_columns, int32_t n_players, uint32_t* registers, double* values) {
  for (const Tile& tile : tables.tiles) {
    const Group* groups = tables.groups.data() + tile.group;
    for (int64_t first = 0; first < n; first += LANES) {
      patterns<LANES>(tables, tile, lut, packs + first * n_columns, registers);
      const int here = static_cast<int>(n - first < LANES ? n - first : LANES);
      for (uint32_t k = 0; k < tile.groups; ++k) {
        const Group& group = groups[k];
        const double* table = tables.table + group.table;
        const int32_t* player = tables.players.data() + group.player;
        const uint32_t* at = registers + static_cast<uint64_t>(k) * LANES;
        for (int l = 0; l < here; ++l) {
          const double* row = table + static_cast<uint64_t>(at[l]) * group.stride;
          double* to = values + (first + l) * n_players;
          for (uint32_t j = 0; j < group.width; ++j) to[player[j]] += row[j];
        }
      }
    }
  }
}

// -- counts -------------------------------------------------------------------------------------

inline void passes(const Test& test, const int32_t* codes, int64_t n, const uint8_t* lut,
                   uint8_t* passed) {
  if (test.lut >= 0) {
    for (int64_t k = 0; k < n; ++k) passed[k] = lut[test.lut + 1 + codes[k]] != 0;
    return;
  }
  const uint32_t low = static_cast<uint32_t>(test.low), span = test.span;
  for (int64_t k = 0; k < n; ++k) passed[k] = static_cast<uint32_t>(codes[k]) - low <= span;
}

// What rows fail on either side of a test.
inline void part(const uint16_t* before, const uint8_t* passed, int64_t n, uint32_t slot,
                 uint16_t* to_left, uint16_t* to_right) {
  const uint16_t bit = static_cast<uint16_t>(1u << slot);
  for (int64_t k = 0; k < n; ++k) {
    const uint16_t fails_right = static_cast<uint16_t>(-passed[k]) & bit;
    to_left[k] = before[k] | (fails_right ^ bit);
    to_right[k] = before[k] | fails_right;
  }
}

// Counts rows by whom they fail beside the player of `slot`: those that go left, from 2**slots on
// those that go right, and where `third` says those that have failed that player before. In parts
// that are added later, for a number raised twice in a row would wait for itself.
inline void tell(const uint16_t* before, const uint8_t* passed, int64_t n, uint32_t slot,
                 uint32_t slots, uint32_t third, int parts, uint16_t* where, uint16_t* tally) {
  const uint16_t low = static_cast<uint16_t>((1u << slot) - 1);
  const uint16_t high = static_cast<uint16_t>(((1u << slots) - 1) & ~low);
  const uint16_t right = static_cast<uint16_t>(1u << slots);
  const uint16_t apart = static_cast<uint16_t>(third << slots);
  for (int64_t k = 0; k < n; ++k) {
    const uint16_t bits = before[k];
    const uint16_t others = static_cast<uint16_t>((bits & low) | (bits >> 1 & high));
    const uint16_t failed = static_cast<uint16_t>(-(bits >> slot & 1));
    const uint16_t side = static_cast<uint16_t>(passed[k] - 1) & right;
    where[k] = static_cast<uint16_t>(others | (failed & apart) | (~failed & side));
  }
  if (parts == 1) {
    for (int64_t k = 0; k < n; ++k) ++tally[where[k]];
    return;
  }
  const size_t size = size_t{3} << slots;
  int64_t k = 0;
  for (; k + PARTS <= n; k += PARTS)
    for (int p = 0; p < PARTS; ++p) ++tally[static_cast<size_t>(p) * size + where[k + p]];
  for (; k < n; ++k) ++tally[where[k]];
}

// Eight numbers at once; the compiler takes as many vectors as the machine's hold.
typedef double Eight __attribute__((vector_size(64), aligned(8)));
typedef int32_t Whole __attribute__((vector_size(32), aligned(4)));

WARUM_INLINE const Eight& eight(const double* at) { return *reinterpret_cast<const Eight*>(at); }
WARUM_INLINE Eight& eight(double* at) { return *reinterpret_cast<Eight*>(at); }
WARUM_INLINE const Whole& whole(const int32_t* at) { return *reinterpret_cast<const Whole*>(at); }

WARUM_INLINE double together(const Eight& parts) {
  return ((parts[0] + parts[4]) + (parts[2] + parts[6])) +
         ((parts[1] + parts[5]) + (parts[3] + parts[7]));
}

// Each player the case meets gets what stands at the subsets it is in; `gains` is used up.
WARUM_INLINE void hand_out(double* gains, int n_met, uint32_t met, const int16_t* players,
                           double* values) {
  uint8_t bits[16];
  for (int k = 0; k < n_met; ++k, met &= met - 1)
    bits[k] = static_cast<uint8_t>(__builtin_ctz(met));
  for (int level = n_met - 1; level >= 3; --level) {
    const uint32_t half = 1u << level;
    Eight sum = eight(gains + half);
    eight(gains) += sum;
    for (uint32_t k = 8; k < half; k += 8) {
      const Eight& more = eight(gains + half + k);
      sum += more;
      eight(gains + k) += more;
    }
    values[players[bits[level]]] += together(sum);
  }
  if (n_met > 2) {
    values[players[bits[2]]] += (gains[4] + gains[5]) + (gains[6] + gains[7]);
    for (int k = 0; k < 4; ++k) gains[k] += gains[4 + k];
  }
  if (n_met > 1) {
    values[players[bits[1]]] += gains[2] + gains[3];
    gains[1] += gains[3];
  }
  if (n_met > 0) values[players[bits[0]]] += gains[1];
}

// What the one leaf or two below a last test give, with the players `failed` by the case. Rows that
// fail somebody the case fails reach neither, so what counts are the cells of those who fail only
// players that the case meets, which are their A. A pair of leaves parts the rows: to the leaf on
// the side of the case, rows of the other side come with one more in A; to the leaf on the other
// side, its own rows come with one more in B.
template <bool WIDE, bool THREE>
WARUM_INLINE void at_last(const Counts& counts, const Last& last, uint32_t failed, bool left,
                          Room& room, double* values) {
  constexpr int BITS = WIDE ? 16 : 8, MASK = (1 << BITS) - 1;
  constexpr int SIZE = (WIDE ? 2 : 1) * (THREE ? 4 : 2);
  const uint32_t everybody = (1u << last.slots) - 1, low = (1u << last.slot) - 1;
  const uint32_t others = (failed & low) | (failed >> 1 & ~low & everybody);
  const uint32_t met = everybody & ~others;
  const int16_t* players = counts.players.data() + last.path;
  const int b = __builtin_popcount(others), n_met = last.slots - b;
  const uint32_t n = n_met < 3 ? 8 : 1u << n_met;
  const uint8_t* cells = counts.cells + last.cells;
  const uint16_t* subsets = counts.subsets_of(met, room.subsets.data());
  int32_t* pairs = room.pairs.data();
  int32_t* thirds = room.thirds.data();
  for (uint32_t k = 0; k < n; ++k) {
    const uint8_t* cell = cells + static_cast<size_t>(subsets[k]) * SIZE;
    if (SIZE == 2) {
      uint16_t pair;
      __builtin_memcpy(&pair, cell, 2);
      pairs[k] = pair;
    } else {
      __builtin_memcpy(pairs + k, cell, 4);
      if (SIZE == 8) __builtin_memcpy(thirds + k, cell + 4, 4);
    }
  }
  double* gains = room.gains.data();  // of whoever is in the k-th subset
  Eight own{}, down{};                // of the player asked here, and of each the case has failed
  if (!last.fresh && (failed >> last.slot & 1)) {
    // the case has failed the player before: rows must meet it, on either side
    const size_t first = counts.start_of(b + 1, n_met);
    const double *a0 = counts.a0.data() + first, *b0 = counts.b0.data() + first;
    for (uint32_t k = 0; k < n; k += 8) {
      const Whole& pair = whole(pairs + k);
      const Eight worth = last.left * __builtin_convertvector(pair & MASK, Eight) +
                          last.right * __builtin_convertvector(pair >> BITS & MASK, Eight);
      eight(gains + k) = worth * eight(a0 + k);
      down += worth * eight(b0 + k);
    }
    own = down;
  } else {
    const double here = left ? last.left : last.right, there = left ? last.right : last.left;
    const int to_same = left ? 0 : BITS, to_apart = BITS - to_same;
    const size_t first = counts.start_of(b, n_met);
    const double *a0 = counts.a0.data() + first, *a1 = counts.a1.data() + first;
    const double *b0 = counts.b0.data() + first, *b1 = counts.b1.data() + first;
    const double *a2 = counts.a2.data() + first, *b2 = counts.b2.data() + first;
    for (uint32_t k = 0; k < n; k += 8) {
      const Whole& pair = whole(pairs + k);
      const Whole apart = pair >> to_apart & MASK;
      Whole fail = apart;
      if (THREE) fail += WIDE ? whole(thirds + k) : (pair >> 16 & MASK);
      const Eight same = here * __builtin_convertvector(pair >> to_same & MASK, Eight);
      const Eight join = here * __builtin_convertvector(fail, Eight);
      const Eight other = there * __builtin_convertvector(apart, Eight);
      const Eight up = join * eight(a1 + k), lost = other * eight(b2 + k);
      eight(gains + k) = same * eight(a0 + k) + up + other * eight(a2 + k);
      own += up + lost;
      down += same * eight(b0 + k) + join * eight(b1 + k) + lost;
    }
  }
  values[last.player] += together(own);
  const double each = together(down);
  for (uint32_t rest = others; rest; rest &= rest - 1)
    values[players[__builtin_ctz(rest)]] += each;
  hand_out(gains, n_met, met, players, values);
}

// Has memory fetched that `at_last` is going to ask for.
WARUM_INLINE void announce(const Counts& counts, const Last& last, uint32_t failed) {
  const uint32_t everybody = (1u << last.slots) - 1, low = (1u << last.slot) - 1;
  const uint32_t met = everybody & ~((failed & low) | (failed >> 1 & ~low));
  if (met >= counts.subsets_at.size()) return;
  const uint32_t size = last.cell_bytes();
  const uint32_t together = 64 / size - 1;  // cells fetched with the first
  const uint16_t* subsets = counts.subsets.data() + counts.subsets_at[met];
  const uint32_t n = 1u << __builtin_popcount(met), step = 1u << __builtin_popcount(met & together);
  const uint8_t* cells = counts.cells + last.cells;
  for (uint32_t k = 0; k < n; k += step) __builtin_prefetch(cells + subsets[k] * size);
}

// What the leaves of a tree give that have counts.
inline void look_up(const Counts& counts, size_t tree, const uint8_t* lut, const int32_t* codes,
                    Room& room, double* values) {
  constexpr uint32_t LEFT = 1u << 31;
  uint32_t* registers = room.registers.data();
  uint32_t* found = room.found.data();  // whom the case has failed, and whether it goes left
  registers[0] = 0;
  const Branch* branch = counts.branches.data() + counts.trees[tree];
  const Branch* end = counts.branches.data() + counts.trees[tree + 1];
  for (; branch != end; ++branch) {
    const bool left = goes_left(branch->test, codes[branch->test.column], lut);
    const uint32_t failed = registers[branch->from];
    registers[branch->to] = failed | static_cast<uint32_t>(!left) << branch->slot;
    registers[branch->to + 1] = failed | static_cast<uint32_t>(left) << branch->slot;
    *found = failed | (left ? LEFT : 0);
    found += branch->last;
  }
  found = room.found.data();
  const Last* lasts = counts.lasts.data() + counts.first[tree];
  const uint32_t n = counts.first[tree + 1] - counts.first[tree];
  for (uint32_t k = 0; k < n; ++k) {
    if (k + AHEAD < n) announce(counts, lasts[k + AHEAD], found[k + AHEAD] & ~LEFT);
    const Last& last = lasts[k];
    const uint32_t failed = found[k] & ~LEFT;
    const bool left = found[k] & LEFT;
    if (last.wide && last.three)
      at_last<true, true>(counts, last, failed, left, room, values);
    else if (last.wide)
      at_last<true, false>(counts, last, failed, left, room, values);
    else if (last.three)
      at_last<false, true>(counts, last, failed, left, room, values);
    else
      at_last<false, false>(counts, last, failed, left, room, values);
  }
}

// -- walk ---------------------------------------------------------------------------------------

template <int WORDS>
WARUM_INLINE bool any(const uint64_t* words) {
  uint64_t sum = 0;
  for (int w = 0; w < WORDS; ++w) sum |= words[w];
  return sum != 0;
}

// Calls `each` with every row of a set, in order.
template <int WORDS, typename Each>
WARUM_INLINE void for_rows(const uint64_t* words, Each each) {
  for (int w = 0; w < WORDS; ++w)
    for (uint64_t left = words[w]; left; left &= left - 1) each(64 * w + __builtin_ctzll(left));
}

// The same without a branch per word, which no processor foresees: one loop over all rows.
template <int WORDS, typename Each>
WARUM_INLINE void for_each_row(const uint64_t* words, Each each) {
  uint64_t held[WORDS + 1];
  int first[WORDS + 1], n_words = 0, n = 0;
  for (int w = 0; w < WORDS; ++w) n += __builtin_popcountll(words[w]);
  for (int w = 0; w < WORDS; ++w) {
    held[n_words] = words[w];
    first[n_words] = 64 * w;
    n_words += words[w] != 0;
  }
  held[n_words] = 0;
  uint64_t left = held[0];
  for (int k = 0, at = 0; k < n; ++k) {
    const int row = first[at] + __builtin_ctzll(left);
    left &= left - 1;
    at += left == 0;
    left |= left == 0 ? held[at] : 0;
    each(row);
  }
}

// Sum over listed rows; four at a time, always in the same order.
WARUM_INLINE double summed(const double* ups, const uint16_t* rows, int n) {
  double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  int k = 0;
  for (; k + 4 <= n; k += 4) {
    s0 += ups[rows[k]];
    s1 += ups[rows[k + 1]];
    s2 += ups[rows[k + 2]];
    s3 += ups[rows[k + 3]];
  }
  for (; k < n; ++k) s0 += ups[rows[k]];
  return (s0 + s1) + (s2 + s3);
}

// Each row that is alive brings the leaf's value into play, for its A and for its B. Who is in A
// or B is settled further up, where a player joins: there all leaves below are summed.
template <int WORDS, bool BY_ROW>
inline double walk_leaf(Place& place, const Node& node, const uint64_t* alive, int b) {
  const Walk& walk = *place.walk;
  const double* of_a = walk.of_a.data() + static_cast<int64_t>(b) * walk.width;
  const double* of_b = walk.of_b.data() + static_cast<int64_t>(b) * walk.width;
  const double value = node.value;
  const double* weight = walk.weighted ? place.block->weight.data() : nullptr;
  double* ups = place.ups;
  double* downs = place.downs;
  const uint16_t* in_a = place.in_a;
  if (BY_ROW) {
    for_rows<WORDS>(alive, [&](int row) {
      ups[row] += value * of_a[in_a[row]];
      downs[row] += value * of_b[in_a[row]];
    });
    return 0;
  }
  double down = 0;
  for_each_row<WORDS>(alive, [&](int row) {
    const int a = in_a[row];
    const double worth = weight ? value * weight[row] : value;
    ups[row] += worth * of_a[a];
    down += worth * of_b[a];
  });
  return down;
}

// A test above the leaf the case gets to: rows that part from the case there join A, and where the
// other side is a leaf too, bring that into play with the player in B.
template <int WORDS, bool TWO>
inline double walk_last(Place& place, const Node& node, double value, double other_value,
                        const uint64_t* apart, int b) {
  const Walk& walk = *place.walk;
  const double* of_a = walk.of_a.data() + static_cast<int64_t>(b) * walk.width;
  const double* of_b = walk.of_b.data() + static_cast<int64_t>(b) * walk.width;
  const double* weight = walk.weighted ? place.block->weight.data() : nullptr;
  double* ups = place.ups;
  const uint16_t* in_a = place.in_a;
  double gained = 0, downs = 0, lost = 0;
  for_each_row<WORDS>(apart, [&](int row) {
    const int a = in_a[row];
    const double worth = weight ? value * weight[row] : value;
    double up = worth * of_a[a + 1];
    gained += up;
    downs += worth * of_b[a + 1];
    if (TWO) {
      const double other = weight ? other_value * weight[row] : other_value;
      up += other * of_a[walk.width + a];
      lost += other * of_b[walk.width + a];
    }
    ups[row] += up;
  });
  const double loss = lost;
  place.values[node.player] += gained + loss;
  return downs + loss;
}

// The leaf on the side of the case, row by row: rows that part from the case join A here.
template <int WORDS>
inline void part_at_leaf(Place& place, const Node& node, double value, const uint64_t* apart,
                         int b) {
  const Walk& walk = *place.walk;
  const double* of_a = walk.of_a.data() + static_cast<int64_t>(b) * walk.width;
  const double* of_b = walk.of_b.data() + static_cast<int64_t>(b) * walk.width;
  double* to = place.values + node.player;
  for_rows<WORDS>(apart, [&](int row) {
    const int a = place.in_a[row] + 1;
    const double up = value * of_a[a];
    place.ups[row] += up;
    place.downs[row] += value * of_b[a];
    to[row * place.n_players] += up;
  });
}

// The leaf on the other side: the case fails the player there, who is in B.
template <int WORDS>
inline void fail_at_leaf(Place& place, const Node& node, double value, const uint64_t* apart,
                         int b) {
  const Walk& walk = *place.walk;
  const double* of_a = walk.of_a.data() + static_cast<int64_t>(b + 1) * walk.width;
  const double* of_b = walk.of_b.data() + static_cast<int64_t>(b + 1) * walk.width;
  double* to = place.values + node.player;
  for_rows<WORDS>(apart, [&](int row) {
    const int a = place.in_a[row];
    const double down = value * of_b[a];
    place.ups[row] += value * of_a[a];
    place.downs[row] += down;
    to[row * place.n_players] += down;
  });
}

// Goes through the tree with the rows that fail nobody the case fails; `b` players are failed by
// the case. Returns what each of those gets from the leaves below (not by row).
template <int WORDS, bool BY_ROW>
inline double walk_node(Place& place, int32_t at, const uint64_t* alive, int b, double* frame,
                        uint16_t* list) {
  const Node& node = place.walk->nodes[at];
  if (node.test.column < 0) return walk_leaf<WORDS, BY_ROW>(place, node, alive, b);
  const bool left = goes_left(node.test, place.codes[node.test.column], place.lut);
  const int32_t same = left ? node.left : node.right, other = left ? node.right : node.left;
  const uint64_t* bits =
      place.block->bits.data() + static_cast<int64_t>(place.block->of_node[at]) * WORDS;
  const uint64_t flip = left ? 0 : ~0ull;
  uint64_t with[WORDS], apart[WORDS];  // rows that go where the case goes, and the others
  for (int w = 0; w < WORDS; ++w) {
    const uint64_t met = bits[w] ^ flip;
    with[w] = alive[w] & met;
    apart[w] = alive[w] & ~met;
  }
  double down = 0;
  if (!node.fresh && place.failed[node.slot]) {
    // the case has failed this player before: rows must meet whatever is asked of it
    if (same >= 0 && any<WORDS>(with)) down += walk_node<WORDS, BY_ROW>(place, same, with, b, frame, list);
    if (other >= 0 && any<WORDS>(apart)) down += walk_node<WORDS, BY_ROW>(place, other, apart, b, frame, list);
    return down;
  }
  uint64_t* members = place.members + static_cast<int64_t>(node.slot) * WORDS;
  uint64_t before[WORDS];
  if (node.fresh) {
    for (int w = 0; w < WORDS; ++w) before[w] = members[w] = 0;
  } else {
    for (int w = 0; w < WORDS; ++w) before[w] = members[w];
    for (int w = 0; w < WORDS; ++w) apart[w] &= ~before[w];
  }
  place.failed[node.slot] = 0;
  const bool some = any<WORDS>(apart);
  double* ups = place.ups;
  const Node* nodes = place.walk->nodes.data();
  if (same >= 0 && some && nodes[same].test.column < 0) {
    const Node& last = nodes[same];
    for (int w = 0; w < WORDS; ++w) with[w] = alive[w] & ~apart[w];
    down += walk_leaf<WORDS, BY_ROW>(place, last, with, b);
    if (BY_ROW) {
      part_at_leaf<WORDS>(place, node, last.value, apart, b);
    } else if (other >= 0 && nodes[other].test.column < 0) {
      return down + walk_last<WORDS, true>(place, node, last.value, nodes[other].value, apart, b);
    } else {
      down += walk_last<WORDS, false>(place, node, last.value, 0, apart, b);
    }
  } else if (same >= 0 && !some) {
    down += walk_node<WORDS, BY_ROW>(place, same, alive, b, frame, list);
  } else if (same >= 0) {
    // they join A, and the player gets what the leaves below give them
    uint16_t* in_a = place.in_a;
    for (int w = 0; w < WORDS; ++w) members[w] = before[w] | apart[w];
    if (BY_ROW) {
      double* was = frame;
      for_rows<WORDS>(apart, [&](int row) {
        ++in_a[row];
        *was++ = ups[row];
      });
      walk_node<WORDS, true>(place, same, alive, b, was, list);
      was = frame;
      double* to = place.values + node.player;
      for_rows<WORDS>(apart, [&](int row) {
        --in_a[row];
        to[row * place.n_players] += ups[row] - *was++;
      });
    } else {
      int n = 0;
      for_each_row<WORDS>(apart, [&](int row) {
        ++in_a[row];
        list[n++] = static_cast<uint16_t>(row);
      });
      const double was = summed(ups, list, n);
      down += walk_node<WORDS, false>(place, same, alive, b, frame, list + n);
      for (int k = 0; k < n; ++k) --in_a[list[k]];
      const double is = summed(ups, list, n);
      place.values[node.player] += is - was;
    }
    for (int w = 0; w < WORDS; ++w) members[w] = before[w];
  }
  if (BY_ROW && other >= 0 && some && nodes[other].test.column < 0) {
    fail_at_leaf<WORDS>(place, node, nodes[other].value, apart, b);
  } else if (other >= 0 && some) {
    for (int w = 0; w < WORDS; ++w) members[w] = 0;
    place.failed[node.slot] = 1;
    if (BY_ROW) {
      double* was = frame;
      for_rows<WORDS>(apart, [&](int row) { *was++ = place.downs[row]; });
      walk_node<WORDS, true>(place, other, apart, b + 1, was, list);
      was = frame;
      double* to = place.values + node.player;
      for_rows<WORDS>(apart, [&](int row) { to[row * place.n_players] += place.downs[row] - *was++; });
    } else {
      const double lost = walk_node<WORDS, false>(place, other, apart, b + 1, frame, list);
      place.values[node.player] += lost;
      down += lost;
    }
    place.failed[node.slot] = 0;
    for (int w = 0; w < WORDS; ++w) members[w] = before[w];
  }
  return down;
}

template <int WORDS>
inline void walk_from(Place& place, int32_t root) {
  for (int r = 0; r < 64 * WORDS; ++r) place.ups[r] = 0;
  if (!place.by_row) {
    walk_node<WORDS, false>(place, root, place.block->all, 0, place.frames, place.lists);
    return;
  }
  for (int r = 0; r < 64 * WORDS; ++r) place.downs[r] = 0;
  walk_node<WORDS, true>(place, root, place.block->all, 0, place.frames, place.lists);
}

inline void walk_tree(Place& place, int32_t root) {
  if (place.walk->words == FEW)
    walk_from<FEW>(place, root);
  else
    walk_from<MANY>(place, root);
}

}  // namespace WARUM_VARIANT
}  // namespace

#endif
