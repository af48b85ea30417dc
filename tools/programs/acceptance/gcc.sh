#!/bin/sh
# Programs of several files in two languages, compiled by make, and run.
set -eu
cd /work
cat >sum.c <<'C'
#include <pthread.h>
#include <stdlib.h>
static void *add(void *of) { long *pair = of; for (long n = 1; n <= 1000; n++) pair[0] += n; return NULL; }
long sum(void) {
    pthread_t threads[4];
    long pairs[4] = {0}, all = 0;
    for (int i = 0; i < 4; i++) if (pthread_create(&threads[i], NULL, add, &pairs[i])) abort();
    for (int i = 0; i < 4; i++) { pthread_join(threads[i], NULL); all += pairs[i]; }
    return all;
}
C
cat >main.cpp <<'C'
#include <iostream>
#include <numeric>
#include <stdexcept>
#include <vector>
extern "C" long sum(void);
int main() {
    std::vector<long> numbers(1000);
    std::iota(numbers.begin(), numbers.end(), 1);
    try { numbers.at(1000); } catch (const std::out_of_range &) {
        std::cout << sum() - 3 * std::accumulate(numbers.begin(), numbers.end(), 0L) << "\n";
    }
}
C
printf 'program: sum.o main.o\n\tg++ -pthread -o $@ $^\n%%.o: %%.c\n\tgcc -O2 -Wall -Werror -g -c -o $@ $<\n%%.o: %%.cpp\n\tg++ -O2 -pipe -c -o $@ $<\n' >Makefile
make -s -j 2
[ "$(./program)" = 500500 ]
ar rcs libsum.a sum.o
printf '#include <math.h>\n#include <stdio.h>\nlong sum(void);\nint main(int n, char **v) { (void)v; printf("%%ld %%.3f\\n", sum(), sqrt(2.0 * n)); }\n' >c.c
gcc -O1 -static c.c -L. -lsum -lm -o static
[ "$(./static)" = "2002000 1.414" ]
gcc -O1 -shared -fPIC sum.c -o libshared.so
gcc -flto -O2 c.c -L. -lshared -lm -Wl,-rpath,/work -o shared
[ "$(./shared)" = "2002000 1.414" ]
echo 'int main( {' >wrong.c
if gcc wrong.c 2>error; then exit 1; fi
grep -q 'error:' error
strip program
[ "$(./program)" = 500500 ]
echo accepted
