// libzstd's streaming decoder.
#pragma once

#include <zstd.h>
