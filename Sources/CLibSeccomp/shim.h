#include <seccomp.h>
#include <stdlib.h>

/// Gives back a name that the library has allocated.
static inline void libseccomp_release_name(char *name) {
    free(name);
}
