// The filesystems of a container as detached mounts.
//
// The model. A mount of a document is option words, a type and a source. The words are sorted (`MountOptions`), and the filesystem
// is made or cloned attached to nothing (`RootTree`, `OverlayMount`), where nobody can see or disturb it; what has to be
// mapped or filled first is (`MappedOverlay`, `CopyUp`). Where a tree is attached, and by whom, is not decided here.

package import Kernel

/// A detached mount in a list; the class only holds it.
package final class PreparedTree: Sendable {
    /// The mount.
    package let mount: DetachedMount

    /// Takes a mount over.
    package init(_ mount: consuming DetachedMount) { self.mount = mount }
}
