// The limit on open descriptors.
#pragma once

#include <cstdint>

namespace weir {

/// Raises the soft limit of this process to its hard limit; returns the limit then in force.
std::uint64_t raise_descriptor_limit() noexcept;

}  // namespace weir
